/**
 * Writes a small ONNX model: one float input, one float output, constant tensors, nodes without
 * attributes. An ONNX file is a protobuf message; a protobuf message is a list of fields, each a tag
 * (field number and wire type) and a value. The numbers below are those of onnx.proto3. The same
 * graph always gives the same bytes.
 */

/** A named size is one that each run may choose, as the number of rows. */
type Size = number | string;

interface OnnxValue {
  readonly name: string;
  readonly shape: readonly Size[];
}

export interface OnnxTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly values: readonly number[];
}

export interface OnnxNode {
  readonly operator: string;
  readonly inputs: readonly string[];
  readonly output: string;
}

interface OnnxGraph {
  readonly name: string;
  readonly input: OnnxValue;
  readonly output: OnnxValue;
  readonly constants: readonly OnnxTensor[];
  /** In the order of running. */
  readonly nodes: readonly OnnxNode[];
}

const IR_VERSION = 7;
/** The version of the operators: the first whose Softmax works along the last axis. */
const OPSET_VERSION = 13;
const FLOAT = 1;

export function encodeOnnxModel(graph: OnnxGraph): Uint8Array {
  return message(
    integer(1, IR_VERSION),
    text(2, "maitred iris example"),
    bytes(7, encodeGraph(graph)),
    bytes(8, integer(2, OPSET_VERSION)),
  );
}

function encodeGraph({ name, input, output, constants, nodes }: OnnxGraph): Uint8Array {
  return message(
    ...nodes.map((node) => bytes(1, encodeNode(node))),
    text(2, name),
    ...constants.map((tensor) => bytes(5, encodeTensor(tensor))),
    bytes(11, encodeValue(input)),
    bytes(12, encodeValue(output)),
  );
}

function encodeNode({ operator, inputs, output }: OnnxNode): Uint8Array {
  return message(...inputs.map((input) => text(1, input)), text(2, output), text(4, operator));
}

function encodeTensor({ name, shape, values }: OnnxTensor): Uint8Array {
  const raw = new DataView(new ArrayBuffer(4 * values.length));
  for (const [i, value] of values.entries()) raw.setFloat32(4 * i, value, true);
  return message(
    ...shape.map((size) => integer(1, size)),
    integer(2, FLOAT),
    text(8, name),
    bytes(9, new Uint8Array(raw.buffer)),
  );
}

function encodeValue({ name, shape }: OnnxValue): Uint8Array {
  const sizes = shape.map((size) => bytes(1, typeof size === "number" ? integer(1, size) : text(2, size)));
  const tensorType = message(integer(1, FLOAT), bytes(2, message(...sizes)));
  return message(text(1, name), bytes(2, bytes(1, tensorType)));
}

// ── protobuf

const VARINT = 0;
const LENGTH_DELIMITED = 2;

const message = (...fields: readonly Uint8Array[]): Uint8Array =>
  Uint8Array.from(fields.flatMap((field) => [...field]));
const integer = (field: number, value: number) => Uint8Array.from([...tag(field, VARINT), ...varint(value)]);
const bytes = (field: number, value: Uint8Array) =>
  Uint8Array.from([...tag(field, LENGTH_DELIMITED), ...varint(value.length), ...value]);
const text = (field: number, value: string) => bytes(field, new TextEncoder().encode(value));
const tag = (field: number, wireType: number) => varint(field * 8 + wireType);

/** Seven bits a byte, the lowest first; the high bit says that more follow. 300 = 0b10_0101100 → [0xac, 0x02]. */
function varint(value: number): number[] {
  return value < 0x80 ? [value] : [(value % 0x80) + 0x80, ...varint(Math.floor(value / 0x80))];
}
