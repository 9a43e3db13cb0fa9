/**
 * Arguments and results of handle calls as bytes, and back. The types that cross are listed in pack-values.ts.
 * Decoding makes plain data and nothing else: no bytes can make it run code.
 */
import { ServeError } from "../../base/serve-error.ts";
import { MalformedPack, PackReader } from "./pack-reader.ts";
import { readValue, writeValue } from "./pack-values.ts";
import { PackWriter } from "./pack-writer.ts";

/**
 * The bytes of one value. They lie in memory of their own or next to those of other values; nobody writes to them again.
 * @throws ServeError `value-unsupported`, naming the path of what cannot cross; or what a `toJSON` of the value throws.
 */
export function encodeValue(value: unknown): Uint8Array {
  const writer = idle ?? new PackWriter();
  // A `toJSON` of the value may come back here.
  idle = undefined;
  try {
    writeValue(writer, value);
    const bytes = writer.take();
    return bytes;
  } finally {
    // After a throw: what was half written. A writer that grew for a large value is left to the garbage collector.
    writer.rollBackTo(writer.positionOf(0));
    if (writer.bytes.length <= KEPT_BYTES) idle = writer;
  }
}

/**
 * The inverse of `encodeValue`; takes exactly one value.
 * @throws ServeError `wire-protocol` when the bytes are not one.
 */
export function decodeValue(bytes: Uint8Array): unknown {
  const reader = new PackReader(bytes);
  try {
    const value = readValue(reader);
    if (!reader.isAtEnd) throw new MalformedPack("bytes behind the end of a value");
    return value;
  } catch (error) {
    if (error instanceof MalformedPack) throw new ServeError("wire-protocol", `The peer sent ${error.message}.`);
    throw error;
  }
}

const KEPT_BYTES = 65_536;

/** Scratch memory between calls, never state: with none at hand a new writer is made. */
let idle: PackWriter | undefined;
