/** Stands in for a language model: answers word by word what it was asked, to whoever has the key and as long as somebody listens. */
import { createServer, type Server } from "node:http";
import { json } from "node:stream/consumers";
import { setTimeout } from "node:timers/promises";

const PAUSE_MS = 30;

/** @param onLetGo a client has left before its answer was whole. */
export function createUpstream(key: string, onLetGo: () => void): Server {
  return createServer(async (request, response) => {
    if (request.headers.authorization !== `Bearer ${key}`) return void response.writeHead(401).end();
    const { prompt } = (await json(request)) as { prompt: string };
    for (const word of `You asked: ${prompt}`.split(/(?<= )/)) {
      if (response.destroyed) return onLetGo();
      response.write(word);
      await setTimeout(PAUSE_MS);
    }
    response.end();
  });
}
