/** Two versions of one model: v1 answers, v2 sees half of the same requests without anyone waiting for it. */
import { backend, defineApp } from "maitred";
import type { Iris } from "./iris.ts";

const module = new URL("./iris.ts", import.meta.url);

export default defineApp({
  name: "iris",
  backends: {
    "iris:v1": { run: backend<typeof Iris>({ module, export: "Iris", args: ["v1.onnx"] }) },
    "iris:v2": { run: backend<typeof Iris>({ module, export: "Iris", args: ["v2.onnx"] }) },
  },
  endpoints: {
    iris: { route: "/iris", methods: ["POST"], traffic: { "iris:v1": 1 }, shadows: { "iris:v2": 0.5 } },
  },
});
