/** What happens to the world besides its weather: load, and what is wrong for a while: nodes without power, nodes cut off from the others, backends that cannot start. */
import type { NodeName } from "../../model/ids.ts";
import type { SimProcess } from "./sim-process.ts";

export class Mishaps {
  readonly #off = new Set<NodeName>();
  readonly #cutOff = new Set<NodeName>();
  /** Backend → queries that run or wait for it in each router. */
  readonly #loads = new Map<string, number>();
  /** Backend → until when nothing of it can start. */
  readonly #outages = new Map<string, number>();

  hasPower(node: NodeName): boolean {
    return !this.#off.has(node);
  }

  powerOff(node: NodeName): void {
    this.#off.add(node);
  }

  /** Answers whether it was off. */
  powerOn(node: NodeName): boolean {
    return this.#off.delete(node);
  }

  /** What runs there runs on; nobody there reaches the store or another node until `reconnect`. */
  cutOff(node: NodeName): void {
    this.#cutOff.add(node);
  }

  reconnect(node: NodeName): void {
    this.#cutOff.delete(node);
  }

  isCutOff(process: SimProcess): boolean {
    const node = nodeOf(process);
    return node !== undefined && this.#cutOff.has(node);
  }

  separates(a: SimProcess, b: SimProcess): boolean {
    return nodeOf(a) !== nodeOf(b) && (this.isCutOff(a) || this.isCutOff(b));
  }

  /** Each router that knows the backend has so many queries for it from now on. Load is nothing wrong, and stays. */
  setLoad(backend: string, queries: number): void {
    this.#loads.set(backend, queries);
  }

  loadOf(backend: string): number {
    return this.#loads.get(backend) ?? 0;
  }

  /** What the code of this backend needs at its start is not there until then. */
  beginOutage(backend: string, until: number): void {
    this.#outages.set(backend, until);
  }

  hasOutage(backend: string, now: number): boolean {
    return (this.#outages.get(backend) ?? 0) > now;
  }

  /** Nodes that were without power. */
  end(): readonly NodeName[] {
    const off = [...this.#off];
    this.#off.clear();
    this.#cutOff.clear();
    this.#outages.clear();
    return off;
  }
}

/** `controller@n1/3` → `n1`; a client is nowhere. */
const nodeOf = ({ facts }: SimProcess): NodeName | undefined =>
  /@([^/]+)\//.exec(facts.name)?.[1] as NodeName | undefined;
