/**
 * Numbers from keys, the same in every process, version and run. One query has one number: drawn at random, or the hash of its shard
 * key; everything that is decided about it is derived from that number and a name.
 * The functions are murmur3's: two independent 32-bit lanes, finished with its avalanche step.
 */

const TWO_TO_53 = 2 ** 53;

/** Two 32-bit halves. */
export interface Hash {
  readonly a: number;
  readonly b: number;
}

/** Characters are hashed as UTF-16 units. */
export function hashText(text: string): Hash {
  let a = 0x9747b28c;
  let b = 0x3c6ef372;
  for (let index = 0; index < text.length; index += 1) {
    const unit = text.charCodeAt(index);
    a = Math.imul(a ^ unit, 0x85ebca6b);
    a = (a << 13) | (a >>> 19);
    b = Math.imul(b ^ unit, 0xc2b2ae35);
    b = (b << 15) | (b >>> 17);
  }
  return { a: avalanche(a ^ text.length), b: avalanche(b ^ Math.imul(text.length, 0x27d4eb2f)) };
}

/** A number of the interval (0, 1) for this pair: independent from pair to pair, equal for equal pairs. */
export function unitOf(key: Hash, name: Hash): number {
  const a = avalanche(Math.imul(key.a, 0xcc9e2d51) ^ name.a ^ avalanche(key.b ^ name.b));
  const b = avalanche(Math.imul(key.b, 0x1b873593) ^ name.b ^ a);
  // 21 and 32 bits make the 53 that a number holds; half a step more keeps away from 0.
  return ((a >>> 11) * 2 ** 32 + (b >>> 0) + 0.5) / TWO_TO_53;
}

function avalanche(value: number): number {
  let bits = value;
  bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
  return bits ^ (bits >>> 16);
}
