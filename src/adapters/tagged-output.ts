/**
 * Where several processes share one output, each line of user code says whose it is: `[iris:v1#7] loaded`, and the log file of the
 * process gets it too. Where the output is that file there is nothing to tell apart. A reader that has gone (EPIPE) is no reason to end
 * a process that serves.
 */
import { StringDecoder } from "node:string_decoder";
import { createLineSink, type LineSink } from "./line-sink.ts";
import { isFile, openLogFile } from "./log-file.ts";

/** @param ownLog the file that only this process writes to. */
export function tagOutput(name: string, ownLog: string): void {
  const shared = [process.stdout, process.stderr].filter((stream) => !isFile(stream.fd, ownLog));
  const copy = shared.length === 0 ? undefined : copyInto(ownLog);
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {});
  for (const stream of shared) tagLines(stream, { tag: `[${name}] `, copy });
}

function copyInto(path: string): LineSink | undefined {
  const fd = openLogFile(path);
  return fd === undefined ? undefined : createLineSink(fd, (count) => `(${count} pieces of output are missing)\n`);
}

function tagLines(
  stream: NodeJS.WriteStream,
  { tag, copy }: { readonly tag: string; readonly copy: LineSink | undefined },
): void {
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
    const text = decoder.write(bytes);
    if (text !== "") copy?.write(text);
    return write(tagged(text), typeof encoding === "function" ? encoding : done);
  };
}
