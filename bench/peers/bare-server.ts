/** The peer of the HTTP rows: node:http alone, with the handlers that the instance serves. Prints its port. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import "./end-with-parent.ts";
import { BIG_BYTES, PARTS, partOf, sumOf, tick } from "../handlers/handlers.ts";

const BIG = Buffer.alloc(BIG_BYTES, "x");

const sum = (request: IncomingMessage, response: ServerResponse): void => {
  const chunks: Buffer[] = [];
  request.on("data", (chunk: Buffer) => chunks.push(chunk));
  request.on("end", () => {
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify(sumOf(JSON.parse(Buffer.concat(chunks).toString()))));
  });
};

const parts = async (response: ServerResponse): Promise<void> => {
  response.setHeader("content-type", "text/plain; charset=utf-8");
  for (let index = 0; index < PARTS; index += 1) {
    response.write(partOf(index));
    await tick();
  }
  response.end();
};

const download = (response: ServerResponse): void => {
  response.setHeader("content-type", "application/octet-stream");
  response.end(BIG);
};

const upload = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
  let bytes = 0;
  try {
    for await (const chunk of request as AsyncIterable<Buffer>) bytes += chunk.length;
  } catch {
    return; // the client has left
  }
  response.setHeader("content-type", "application/json");
  response.end(JSON.stringify({ bytes }));
};

const server = createServer((request, response) => {
  if (request.url === "/parts") void parts(response);
  else if (request.url === "/download") download(response);
  else if (request.url === "/upload") void upload(request, response);
  else sum(request, response);
});
server.listen(0, "127.0.0.1", () => {
  const address = server.address();
  process.stdout.write(`${JSON.stringify({ port: typeof address === "object" ? address?.port : undefined })}\n`);
});
