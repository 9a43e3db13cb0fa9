/** Where a node answers scrapes. Loopback needs no token, any other address that of the instance; slow readers are cut off. */

export interface MetricsAt {
  readonly host: string;
  /** 0 = one that the system chooses. */
  readonly port: number;
}

export interface MetricsListening {
  readonly port: number;
  /** `http://127.0.0.1:9464/metrics`, for people and `status`. */
  readonly url: string;
  /** Cuts what is open. */
  close(): void;
}

export interface MetricsServer {
  /**
   * Rejects with a ServeError: `port-in-use`, `config-invalid`.
   * @param scrape called for each request; its text is the answer.
   */
  listen(at: MetricsAt, scrape: () => Promise<string>): Promise<MetricsListening>;
}
