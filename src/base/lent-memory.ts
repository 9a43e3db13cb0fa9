/**
 * Memory that is used again once nobody looks at it any more. It is lent for the time of one call; who needs it longer holds it within
 * that call, and lets go once. Forgetting to let go costs a new allocation and nothing else: the garbage collector has what is not given
 * back.
 */
import { assert } from "./assert.ts";

export class LentMemory {
  /** All of it, not only what was read into it. */
  readonly bytes: number;
  readonly #giveBack: () => void;
  #holders = 0;
  #isBack = false;

  constructor(bytes: number, giveBack: () => void) {
    this.bytes = bytes;
    this.#giveBack = giveBack;
  }

  /** Answers how to let go; a second time does nothing. */
  hold(): () => void {
    assert(!this.#isBack, "memory is held only while it is lent");
    let isHeld = true;
    this.#holders += 1;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      this.#holders -= 1;
      if (this.#holders > 0) return;
      this.#isBack = true;
      this.#giveBack();
    };
  }
}
