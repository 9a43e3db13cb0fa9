/** A Hono app as a backend: anything with a web-standard `fetch` is one. It asks another backend through a handle. */
import { Hono } from "hono";
import { getHandle } from "maitred";
import type { Iris } from "../iris/iris.ts";

const iris = getHandle<typeof Iris>("iris");

const app = new Hono()
  .basePath("/api")
  .get("/flower", async (c) => c.json(await iris.predict([5.1, 3.5, 1.4, 0.2])))
  .get("/hello/:name", (c) => c.text(`Hello, ${c.req.param("name")}!`));

export default app;
