/**
 * A gateway to a language model: checks the request, adds the key, passes the answer on as it comes, and lets the model go when the
 * client has gone. Speaks the chat format that most clients speak.
 */
import { context, HttpError, type ServeRequest, sse } from "maitred";
import * as z from "zod";

const Chat = z.object({
  model: z.string(),
  stream: z.boolean().default(true),
  messages: z.array(z.object({ role: z.string(), content: z.string() })).min(1),
});

export interface Chunk {
  readonly choices: readonly { readonly delta: { readonly content: string } }[];
}

export class Gateway {
  readonly #url: string;
  readonly #key: string;

  /** The key comes from the environment (`envFile`), so that no configuration holds it. */
  constructor(url: string) {
    this.#url = url;
    this.#key = process.env["LLM_KEY"] ?? "";
  }

  async call(request: ServeRequest) {
    const { model, stream, messages } = await request.json(Chat);
    const prompt = messages.at(-1)!.content;
    if (stream) return sse(this.generate(prompt), { heartbeatMs: 15_000, done: "[DONE]" });
    let content = "";
    for await (const chunk of this.generate(prompt)) content += chunk.choices[0]!.delta.content;
    return { model, choices: [{ message: { role: "assistant", content } }] };
  }

  async *generate(prompt: string): AsyncGenerator<Chunk> {
    const upstream = await fetch(this.#url, {
      method: "POST",
      signal: context().signal, // aborts when the client leaves or the deadline passes
      headers: { authorization: `Bearer ${this.#key}` },
      body: JSON.stringify({ prompt }),
    });
    if (!upstream.ok) throw new HttpError(502, `the model answered ${upstream.status}`);
    for await (const content of upstream.body!.pipeThrough(new TextDecoderStream())) {
      yield { choices: [{ delta: { content } }] };
    }
  }
}
