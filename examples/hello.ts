/** One function, served: `npx maitred run examples/hello.ts`, then `curl 'http://127.0.0.1:8000/?name=Ada'`. */
import type { ServeRequest } from "maitred";

export default function hello(request: ServeRequest) {
  return `Hello, ${request.query.get("name") ?? "world"}!`;
}
