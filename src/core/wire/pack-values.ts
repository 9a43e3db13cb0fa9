/**
 * JavaScript values as MessagePack, and back. What crosses: undefined, null, booleans, numbers (−0, NaN and ∞ too), strings, bigints,
 * Dates, arrays, plain objects, Maps, Sets, ArrayBuffers, DataViews and typed arrays (a Buffer comes back as Uint8Array), and errors as
 * name and message. Other objects go as their `toJSON()` says, or as their own enumerable properties when they are made by a class.
 * Functions, symbols, promises and other things that live in one process are refused with the path to them.
 *
 * Extension types (-1 is MessagePack's own timestamp): nothing here can name a class or a function to run.
 */
import { ServeError } from "../../base/serve-error.ts";
import { MAX_VALUE_DEPTH } from "../../model/limits.ts";
import { MalformedPack, type PackReader } from "./pack-reader.ts";
import type { PackWriter } from "./pack-writer.ts";

const EXTENSION = { UNDEFINED: 0, BIGINT: 1, MAP: 2, SET: 3, BINARY: 4, ERROR: 5, TIMESTAMP: 0xff } as const;

/** The index is the first byte of a BINARY extension. Uint8Array has MessagePack's own binary type. */
const BINARY_KINDS = [
  ArrayBuffer,
  DataView,
  Int8Array,
  Uint8ClampedArray,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
  Float32Array,
  Float64Array,
  BigInt64Array,
  BigUint64Array,
] as const;

const INT64_MIN = -(2n ** 63n);
const INT64_MAX = 2n ** 63n - 1n;

// ── writing

/** @throws ServeError `value-unsupported`, with the path. What was written before must then be rolled back. */
export function writeValue(writer: PackWriter, value: unknown): void {
  const problem = write(writer, value, 0);
  if (problem !== undefined) {
    const path = `value${problem.path}`;
    throw new ServeError(
      "value-unsupported",
      `${path} is ${problem.what}, which cannot cross a process border. ${problem.cure}`,
      {
        details: { path },
      },
    );
  }
}

interface Problem {
  readonly path: string;
  readonly what: string;
  readonly cure: string;
}

const PLAIN_CURE = "Pass plain data: numbers, strings, arrays, objects, Maps, Sets, Dates, typed arrays.";

/** Answers what cannot be written; the path grows on the way back, so that the good case pays nothing for it. */
function write(writer: PackWriter, value: unknown, depth: number): Problem | undefined {
  switch (typeof value) {
    case "string":
      return void writer.string(value);
    case "number":
      return void writer.number(value);
    case "boolean":
      return void writer.boolean(value);
    case "undefined":
      return void writer.extensionHead(EXTENSION.UNDEFINED, 0);
    case "bigint":
      return void writeBigInt(writer, value);
    case "object":
      return value === null ? void writer.nil() : writeObject(writer, value, depth + 1);
    case "function":
      return { path: "", what: "a function", cure: "To call code in another process, give that process an endpoint." };
    default:
      return { path: "", what: `a ${typeof value}`, cure: PLAIN_CURE };
  }
}

function writeObject(writer: PackWriter, value: object, depth: number): Problem | undefined {
  if (depth > MAX_VALUE_DEPTH) {
    return {
      path: "",
      what: `deeper than ${MAX_VALUE_DEPTH} levels`,
      cure: "Does it contain itself? Cut the cycle, or send ids instead of objects.",
    };
  }
  if (Array.isArray(value)) return writeArray(writer, value, depth);
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === Object.prototype || prototype === null) {
    return typeof (value as { toJSON?: unknown }).toJSON === "function"
      ? writeOther(writer, value, depth)
      : writeFields(writer, value, depth);
  }
  if (value instanceof Uint8Array && !(value instanceof Uint8ClampedArray)) return void writer.binary(value);
  if (value instanceof Date) return void writeDate(writer, value);
  if (value instanceof Map) return writeMap(writer, value, depth);
  if (value instanceof Set) return writeSet(writer, value, depth);
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return writeBinary(writer, value);
  if (value instanceof Error) return writeError(writer, value);
  return writeOther(writer, value, depth);
}

function writeArray(writer: PackWriter, values: readonly unknown[], depth: number): Problem | undefined {
  writer.arrayHead(values.length);
  for (let index = 0; index < values.length; index += 1) {
    const problem = write(writer, values[index], depth);
    if (problem !== undefined) return within(`[${index}]`, problem);
  }
  return undefined;
}

function writeFields(writer: PackWriter, value: object, depth: number): Problem | undefined {
  const keys = Object.keys(value);
  writer.mapHead(keys.length);
  for (const key of keys) {
    writer.string(key);
    const problem = write(writer, (value as Record<string, unknown>)[key], depth);
    if (problem !== undefined) return within(member(key), problem);
  }
  return undefined;
}

function writeMap(writer: PackWriter, map: ReadonlyMap<unknown, unknown>, depth: number): Problem | undefined {
  const mark = writer.openExtension(EXTENSION.MAP);
  writer.arrayHead(map.size * 2);
  for (const [key, value] of map) {
    const problem = write(writer, key, depth) ?? write(writer, value, depth);
    if (problem !== undefined) return within(`.get(${String(key)})`, problem);
  }
  return void writer.closeExtension(mark);
}

function writeSet(writer: PackWriter, set: ReadonlySet<unknown>, depth: number): Problem | undefined {
  const mark = writer.openExtension(EXTENSION.SET);
  writer.arrayHead(set.size);
  for (const value of set) {
    const problem = write(writer, value, depth);
    if (problem !== undefined) return within(" (an element)", problem);
  }
  return void writer.closeExtension(mark);
}

function writeBinary(writer: PackWriter, value: ArrayBuffer | ArrayBufferView): Problem | undefined {
  const kind = BINARY_KINDS.findIndex((Kind) => value instanceof Kind);
  if (kind < 0) return { path: "", what: `a ${nameOf(value)}`, cure: PLAIN_CURE };
  const mark = writer.openExtension(EXTENSION.BINARY);
  const bytes = ArrayBuffer.isView(value)
    ? new Uint8Array(value.buffer, value.byteOffset, value.byteLength)
    : new Uint8Array(value);
  writer.raw(Uint8Array.of(kind));
  writer.raw(bytes);
  return void writer.closeExtension(mark);
}

function writeError(writer: PackWriter, error: Error): undefined {
  const mark = writer.openExtension(EXTENSION.ERROR);
  writer.arrayHead(2);
  writer.string(String(error.name));
  writer.string(String(error.message));
  writer.closeExtension(mark);
}

function writeOther(writer: PackWriter, value: object, depth: number): Problem | undefined {
  const toJson = (value as { toJSON?: unknown }).toJSON;
  if (typeof toJson === "function") return write(writer, toJson.call(value), depth);
  // Objects of the platform keep their state in slots, not in properties: sent as fields they would arrive empty.
  const kind = Object.prototype.toString.call(value);
  if (kind !== "[object Object]" || typeof (value as { then?: unknown }).then === "function") {
    return { path: "", what: `a ${nameOf(value)}`, cure: PLAIN_CURE };
  }
  return writeFields(writer, value, depth);
}

/** Seconds and nanoseconds, MessagePack's longest form; an invalid date has no bytes. */
function writeDate(writer: PackWriter, date: Date): void {
  const timestamp = date.getTime();
  if (Number.isNaN(timestamp)) {
    writer.extensionHead(EXTENSION.TIMESTAMP, 0);
    return;
  }
  const seconds = Math.floor(timestamp / 1000);
  writer.extensionHead(EXTENSION.TIMESTAMP, 12);
  writer.view.setUint32(writer.position, (timestamp - seconds * 1000) * 1_000_000);
  writer.view.setInt32(writer.position + 4, Math.floor(seconds / 2 ** 32));
  writer.view.setUint32(writer.position + 8, seconds >>> 0);
  writer.position += 12;
}

/** Within 64 bits as an integer of MessagePack, else as sign and hexadecimal digits. */
function writeBigInt(writer: PackWriter, value: bigint): void {
  if (value >= INT64_MIN && value <= INT64_MAX) {
    writer.bigint64(value);
    return;
  }
  const mark = writer.openExtension(EXTENSION.BIGINT);
  writer.string(value.toString(16));
  writer.closeExtension(mark);
}

const within = (step: string, problem: Problem): Problem => ({ ...problem, path: `${step}${problem.path}` });

const member = (key: string): string => (/^[A-Za-z_$][\w$]*$/.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`);

const nameOf = (value: object): string => {
  const maker: unknown = value.constructor;
  return typeof maker === "function" && maker.name !== "" ? maker.name : "object of the runtime";
};

// ── reading

/** @throws MalformedPack */
export function readValue(reader: PackReader, depth = 0): unknown {
  const token = reader.byte();
  if (token < 0x80) return token;
  if (token < 0x90) return readFields(reader, token & 0x0f, depth);
  if (token < 0xa0) return readArray(reader, token & 0x0f, depth);
  if (token < 0xc0) return reader.text(token & 0x1f);
  if (token >= 0xe0) return token - 0x100;
  switch (token) {
    case 0xc0:
      return null;
    case 0xc2:
      return false;
    case 0xc3:
      return true;
    case 0xc4:
      return readBytes(reader, reader.byte());
    case 0xc5:
      return readBytes(reader, reader.uint16());
    case 0xc6:
      return readBytes(reader, reader.uint32());
    case 0xc7:
      return readExtension(reader, reader.byte(), depth);
    case 0xc8:
      return readExtension(reader, reader.uint16(), depth);
    case 0xc9:
      return readExtension(reader, reader.uint32(), depth);
    case 0xcf:
      return reader.scratch(8).getBigUint64(0);
    case 0xd3:
      return reader.scratch(8).getBigInt64(0);
    case 0xdc:
    case 0xdd:
      reader.position -= 1;
      return readArray(reader, reader.arrayLength(), depth);
    case 0xde:
    case 0xdf:
      reader.position -= 1;
      return readFields(reader, reader.mapLength(), depth);
    default:
      return readScalar(reader, token);
  }
}

function readScalar(reader: PackReader, token: number): unknown {
  const length = reader.stringLength(token);
  if (length !== undefined) return reader.text(length);
  const number = reader.numberOf(token);
  if (number !== undefined) return number;
  throw new MalformedPack(`a value of the unknown type 0x${token.toString(16)}`);
}

function readArray(reader: PackReader, length: number, depth: number): unknown[] {
  checkDepth(depth);
  const values: unknown[] = [];
  for (let index = 0; index < length; index += 1) values.push(readValue(reader, depth + 1));
  return values;
}

function readFields(reader: PackReader, length: number, depth: number): Record<string, unknown> {
  checkDepth(depth);
  const object: Record<string, unknown> = {};
  for (let index = 0; index < length; index += 1) {
    const key = reader.string();
    const value = readValue(reader, depth + 1);
    // An assignment to `__proto__` would change what the object is.
    if (key === "__proto__") {
      Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true });
    } else object[key] = value;
  }
  return object;
}

/** A copy: the frame that the bytes lie in is much larger, and must not live as long as they do. */
const readBytes = (reader: PackReader, length: number): Uint8Array => {
  const start = reader.skip(length);
  return Uint8Array.prototype.slice.call(reader.bytes, start, start + length);
};

function readExtension(reader: PackReader, length: number, depth: number): unknown {
  const type = reader.byte();
  const end = reader.position + length;
  if (end > reader.end) throw new MalformedPack("an extension that ends before its last byte");
  const value = readExtensionOf(type, reader, length, depth);
  if (reader.position !== end) throw new MalformedPack("an extension whose content is not as long as it says");
  return value;
}

function readExtensionOf(type: number, reader: PackReader, length: number, depth: number): unknown {
  checkDepth(depth);
  switch (type) {
    case EXTENSION.UNDEFINED:
      return undefined;
    case EXTENSION.BIGINT:
      return bigIntOf(reader.string());
    case EXTENSION.MAP:
      return readMap(reader, depth);
    case EXTENSION.SET:
      return new Set(readArray(reader, reader.arrayLength(), depth));
    case EXTENSION.BINARY:
      return readBinary(reader, length);
    case EXTENSION.ERROR:
      return readError(reader);
    case EXTENSION.TIMESTAMP:
      return readDate(reader, length);
    default:
      throw new MalformedPack(`an extension of the unknown type ${type}`);
  }
}

function readMap(reader: PackReader, depth: number): Map<unknown, unknown> {
  const length = reader.arrayLength();
  if (length % 2 !== 0) throw new MalformedPack("a map with a key that has no value");
  const map = new Map<unknown, unknown>();
  for (let index = 0; index < length; index += 2) map.set(readValue(reader, depth + 1), readValue(reader, depth + 1));
  return map;
}

function readBinary(reader: PackReader, length: number): unknown {
  const Kind = BINARY_KINDS[reader.byte()];
  if (Kind === undefined) throw new MalformedPack("a typed array of an unknown kind");
  // Copied: elements of more than one byte need an aligned start.
  const buffer = readBytes(reader, length - 1).buffer as ArrayBuffer;
  if (Kind === ArrayBuffer) return buffer;
  if (Kind === DataView) return new DataView(buffer);
  const ElementArray = Kind as Exclude<typeof Kind, typeof ArrayBuffer | typeof DataView>;
  if (buffer.byteLength % ElementArray.BYTES_PER_ELEMENT !== 0) {
    throw new MalformedPack("a typed array that ends within an element");
  }
  return new ElementArray(buffer);
}

function readError(reader: PackReader): Error {
  if (reader.arrayLength() !== 2) throw new MalformedPack("an error without name and message");
  const name = reader.string();
  const error = new Error(reader.string());
  // Made here, far from where it was thrown: its stack would mislead.
  Object.defineProperty(error, "stack", { value: `${name}: ${error.message}`, configurable: true, writable: true });
  if (name !== "Error") Object.defineProperty(error, "name", { value: name, configurable: true, writable: true });
  return error;
}

function readDate(reader: PackReader, length: number): Date {
  if (length === 0) return new Date(Number.NaN);
  if (length !== 12) throw new MalformedPack("a date of an unknown length");
  const milliseconds = reader.uint32() / 1_000_000;
  const seconds = (reader.uint32() | 0) * 2 ** 32 + reader.uint32();
  return new Date(seconds * 1000 + milliseconds);
}

function bigIntOf(digits: string): bigint {
  const match = /^(-?)([0-9a-f]+)$/.exec(digits);
  if (match === null) throw new MalformedPack("a bigint that is not a number");
  const value = BigInt(`0x${match[2]}`);
  return match[1] === "-" ? -value : value;
}

const checkDepth = (depth: number): void => {
  if (depth >= MAX_VALUE_DEPTH) throw new MalformedPack(`a value deeper than ${MAX_VALUE_DEPTH} levels`);
};
