/** HTTP as bytes: writes what it is told, reads what comes, and says when the connection ended. */
import { connect, type Socket } from "node:net";
import { waitFor } from "./wait-for.ts";

const DEADLINE_MS = 8_000;

export class RawHttp {
  readonly socket: Socket;
  text = "";
  isClosed = false;

  constructor(url: string) {
    const { hostname, port } = new URL(url);
    this.socket = connect(Number(port), hostname);
    this.socket.setEncoding("latin1");
    this.socket.on("data", (text: string) => {
      this.text += text;
    });
    this.socket.on("error", () => {});
    this.socket.on("close", () => {
      this.isClosed = true;
    });
  }

  send(text: string | Uint8Array): this {
    this.socket.write(text, "latin1");
    return this;
  }

  /** Resolves when so many answers with a length have come whole. */
  answers(count = 1): Promise<readonly RawAnswer[]> {
    return waitFor(
      `${count} answers, got ${JSON.stringify(this.text.slice(0, 200))}`,
      () => {
        const found = parseAnswers(this.text);
        return found.length >= count && found;
      },
      DEADLINE_MS,
    );
  }

  async closed(): Promise<string> {
    await waitFor("the connection ends", () => this.isClosed, DEADLINE_MS);
    return this.text;
  }

  close(): void {
    this.socket.destroy();
  }
}

export interface RawAnswer {
  readonly status: number;
  readonly head: string;
  readonly body: string;
}

function parseAnswers(text: string): RawAnswer[] {
  const answers: RawAnswer[] = [];
  let rest = text;
  for (;;) {
    const end = rest.indexOf("\r\n\r\n");
    if (end < 0) return answers;
    const head = rest.slice(0, end);
    const length = Number(/\r\ncontent-length: (\d+)/i.exec(head)?.[1] ?? 0);
    if (rest.length < end + 4 + length) return answers;
    answers.push({ status: Number(head.slice(9, 12)), head, body: rest.slice(end + 4, end + 4 + length) });
    rest = rest.slice(end + 4 + length);
  }
}
