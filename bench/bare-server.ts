/** The peer of the HTTP rows: node:http alone with the same handler. Prints its port. */
import { createServer } from "node:http";
import { sumOf } from "./sum.ts";

const server = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on("data", (chunk: Buffer) => chunks.push(chunk));
  request.on("end", () => {
    const answer = JSON.stringify(sumOf(JSON.parse(Buffer.concat(chunks).toString())));
    response.setHeader("content-type", "application/json");
    response.end(answer);
  });
});
server.listen(0, "127.0.0.1", () => {
  const address = server.address();
  process.stdout.write(`${JSON.stringify({ port: typeof address === "object" ? address?.port : undefined })}\n`);
});
