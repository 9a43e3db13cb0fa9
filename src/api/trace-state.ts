/** The `TraceState` of OpenTelemetry's API, for what came in a header: immutable, newest member first, others as they came. */

export class TraceState {
  /** `[key, value]`. */
  readonly #members: readonly (readonly [string, string])[];

  /** @param members of another one; a text: of a header. */
  constructor(members: string | readonly (readonly [string, string])[]) {
    this.#members = typeof members === "string" ? membersOf(members) : members;
  }

  get(key: string): string | undefined {
    return this.#members.find(([name]) => name === key)?.[1];
  }

  set(key: string, value: string): TraceState {
    return new TraceState([[key, value], ...this.#without(key)]);
  }

  unset(key: string): TraceState {
    return new TraceState(this.#without(key));
  }

  serialize(): string {
    return this.#members.map(([key, value]) => `${key}=${value}`).join(",");
  }

  #without(key: string): readonly (readonly [string, string])[] {
    return this.#members.filter(([name]) => name !== key);
  }
}

const membersOf = (text: string): readonly (readonly [string, string])[] =>
  text.split(",").flatMap((member) => {
    const at = member.indexOf("=");
    return at < 1 ? [] : [[member.slice(0, at).trim(), member.slice(at + 1).trim()] as const];
  });
