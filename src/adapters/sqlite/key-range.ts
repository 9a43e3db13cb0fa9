/**
 * The keys under a prefix as one range, so that SQLite walks an index instead of comparing every key.
 * Keys are UTF-8 text; their bytes and their code points sort alike. The end of a prefix is therefore the prefix with its
 * last code point raised by one: "a/" ends before "a0".
 */

export interface KeyRange {
  readonly from: string;
  /** The first key beyond. An empty blob stands for "no end": SQLite sorts every blob after every text. */
  readonly to: string | Uint8Array;
}

const NO_END = new Uint8Array(0);
const LAST_CODE_POINT = 0x10_ffff;
/** Between them lie the surrogates, which are no characters. */
const BEFORE_SURROGATES = 0xd7ff;
const AFTER_SURROGATES = 0xe000;

export function keyRange(prefix: string): KeyRange {
  const points = [...prefix].map((character) => character.codePointAt(0) ?? 0);
  // The last code point of all cannot be raised: what follows "a\u{10ffff}…" is what follows "a".
  while (points.at(-1) === LAST_CODE_POINT) points.pop();
  const last = points.pop();
  if (last === undefined) return { from: prefix, to: NO_END };
  const next = last === BEFORE_SURROGATES ? AFTER_SURROGATES : last + 1;
  return { from: prefix, to: String.fromCodePoint(...points, next) };
}
