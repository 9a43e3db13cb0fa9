/**
 * The peer "nginx → node:http": one nginx worker with kept-alive connections to one bare server. Argument: the bare server's port.
 * Prints its own port and the pids of nginx.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { programPath } from "../tools.ts";

const START_DEADLINE_MS = 10_000;

const [upstream = ""] = process.argv.slice(2);
const folder = mkdtempSync(join(tmpdir(), "bench-nginx-"));

const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" ? (address?.port ?? 0) : 0));
    });
  });

const port = await freePort();
writeFileSync(
  join(folder, "nginx.conf"),
  `daemon off;
worker_processes 1;
pid ${folder}/pid;
error_log ${folder}/error.log;
events { worker_connections 4096; }
http {
  access_log off;
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi;
  scgi_temp_path ${folder}/scgi;
  keepalive_requests 1000000000;
  upstream node {
    server 127.0.0.1:${upstream};
    keepalive 256;
    keepalive_requests 1000000000;
  }
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://node;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
    }
  }
}
`,
);

const nginx = spawn(
  programPath("nginx") ?? "nginx",
  ["-e", join(folder, "error.log"), "-c", join(folder, "nginx.conf")],
  {
    stdio: ["ignore", "ignore", "inherit"],
  },
);
const end = (status: number): never => {
  nginx.kill("SIGTERM");
  rmSync(folder, { recursive: true, force: true });
  process.exit(status);
};
nginx.on("exit", () => end(1));
process.stdin.on("end", () => end(0));
process.stdin.resume();

const parentOf = (pid: number): number => {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
  } catch {
    return 0; // it has gone meanwhile
  }
};
const workers = (): readonly number[] =>
  readdirSync("/proc")
    .map(Number)
    .filter((pid) => pid > 0 && parentOf(pid) === nginx.pid);

const startedAt = performance.now();
while (workers().length === 0) {
  if (performance.now() - startedAt > START_DEADLINE_MS) end(1);
  await pause(20);
}
process.stdout.write(`${JSON.stringify({ port, pids: [nginx.pid, ...workers()] })}\n`);
