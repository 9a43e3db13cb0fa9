/**
 * Where several processes share one output, each line of user code says whose it is: `[iris:v1#7] loaded`. In a log file of its own
 * there is nothing to tell apart. A reader that has gone (EPIPE) is no reason to end a process that serves.
 */
import { fstatSync, statSync } from "node:fs";
import { StringDecoder } from "node:string_decoder";

/** @param ownLog the file that only this process writes to, when the agent gave it one. */
export function tagOutput(name: string, ownLog: string): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on("error", () => {});
    if (!isSameFile(stream.fd, ownLog)) tagLines(stream, `[${name}] `);
  }
}

function tagLines(stream: NodeJS.WriteStream, tag: string): void {
  const write = stream.write.bind(stream) as (text: string, done?: (error?: Error | null) => void) => boolean;
  const decoder = new StringDecoder("utf8");
  let isAtLineStart = true;
  const tagged = (text: string): string => {
    if (text === "") return "";
    const lines = (isAtLineStart ? tag : "") + text.replace(/\n(?!$)/g, `\n${tag}`);
    isAtLineStart = text.endsWith("\n");
    return lines;
  };
  stream.write = (
    chunk: string | Uint8Array,
    encoding?: BufferEncoding | ((error?: Error | null) => void),
    done?: (error?: Error | null) => void,
  ): boolean => {
    const isText = typeof chunk === "string";
    const bytes = isText ? Buffer.from(chunk, typeof encoding === "string" ? encoding : "utf8") : Buffer.from(chunk);
    return write(tagged(decoder.write(bytes)), typeof encoding === "function" ? encoding : done);
  };
}

function isSameFile(fd: number, path: string): boolean {
  try {
    const [ours, theirs] = [fstatSync(fd), statSync(path)];
    return ours.ino === theirs.ino && ours.dev === theirs.dev;
  } catch {
    // No such file, or the output is closed.
    return false;
  }
}
