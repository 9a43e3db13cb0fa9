/** The words of REST for the calls that cures name. */
import { type CallWords, inWords } from "../core/call-words.ts";

const REQUESTS: CallWords = {
  createBackend: "PUT /v1/backends/{tag}",
  updateBackendConfig: "PATCH /v1/backends/{tag}/config",
  listBackends: "GET /v1/status",
  createEndpoint: "PUT /v1/endpoints/{tag}",
  listEndpoints: "GET /v1/status",
  setTraffic: "PUT /v1/endpoints/{tag}/traffic",
  shadowTraffic: "PUT /v1/endpoints/{tag}/shadows/{backend}",
  "status().goals": "GET /v1/goals",
  "status()": "GET /v1/status",
};

export const inRestWords = (error: { readonly code: string; readonly message: string }): string =>
  inWords(REQUESTS, error);
