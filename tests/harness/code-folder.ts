/** A folder with user code, written, changed and moved as a test goes on. */
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";

export class CodeFolder {
  #path: string;

  constructor(files: Readonly<Record<string, string>>, parent = mkdtempSync(join(tmpdir(), "maitred-code-"))) {
    this.#path = parent;
    this.write(files);
  }

  get path(): string {
    return this.#path;
  }

  url(file: string): string {
    return pathToFileURL(join(this.#path, file)).href;
  }

  write(files: Readonly<Record<string, string>>): void {
    for (const [name, text] of Object.entries(files)) {
      const path = join(this.#path, name);
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, text);
    }
  }

  moveTo(path: string): void {
    renameSync(this.#path, path);
    this.#path = path;
  }

  remove(file = ""): void {
    rmSync(join(this.#path, file), { recursive: true, force: true });
  }
}
