/**
 * The state and run folders of a node, in memory. What was saved durably survives a power cut, what was only noted is as it was at the
 * last durable write. Values are kept as JSON text: nobody shares an object with a file.
 */

export class Disk {
  readonly #current = new Map<string, string>();
  readonly #durable = new Map<string, string>();

  read<T>(path: string): T | undefined {
    const text = this.#current.get(path);
    return text === undefined ? undefined : (JSON.parse(text) as T);
  }

  has(path: string): boolean {
    return this.#current.has(path);
  }

  write(path: string, value: unknown, how: "durably" | "quickly"): void {
    const text = JSON.stringify(value);
    this.#current.set(path, text);
    if (how === "durably") this.#durable.set(path, text);
  }

  delete(path: string): void {
    this.#current.delete(path);
    this.#durable.delete(path);
  }

  deleteFolder(folder: string): void {
    for (const path of [...this.#current.keys()]) if (path.startsWith(`${folder}/`)) this.delete(path);
  }

  paths(folder: string): readonly string[] {
    return [...this.#current.keys()].filter((path) => path.startsWith(`${folder}/`)).sort();
  }

  powerCut(): void {
    this.#current.clear();
    for (const [path, text] of this.#durable) this.#current.set(path, text);
  }
}
