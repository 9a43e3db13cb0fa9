/**
 * Carries one REST request to the leading controller and its answer back. Rejects with `controller-unavailable` when nobody answers or
 * the connection broke (then it is unknown whether the request took effect). Knows nothing of retries.
 */

export interface ControlRequest {
  readonly method: "GET" | "PUT" | "POST" | "PATCH" | "DELETE";
  /** Path and query. */
  readonly path: string;
  readonly body?: unknown;
  readonly idempotencyKey?: string | undefined;
}

export interface ControlAnswer {
  readonly status: number;
  /** Parsed JSON. */
  readonly body: unknown;
}

export interface ControlTransport {
  send(
    request: ControlRequest,
    wait: { readonly timeoutMs: number; readonly signal: AbortSignal | undefined },
  ): Promise<ControlAnswer>;
  close(): void;
}
