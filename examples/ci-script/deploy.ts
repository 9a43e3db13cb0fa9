/**
 * What a CI job wants, in code: bring a running instance to what the app file says, wait until all of it is in force, ask it a question
 * whose answer is known, and take the traffic back when it is wrong. The instance: `npx maitred start --instance prod`.
 */
import { serve } from "maitred";
import app from "../iris/app.ts";

await using client = await serve.connect<typeof app>({ instance: "prod" });

for (const { action, target, reason } of await client.plan(app)) console.log(`${action} ${target}: ${reason}`);
const goal = await client.deploy(app, { timeoutMs: 300_000 });
console.log("deployed", goal.id, goal.state);

const flower = await client.getHandle("iris").predict([5.1, 3.5, 1.4, 0.2]);
console.log("answers", flower.species);
if (flower.species !== "setosa") {
  await client.setTraffic("iris", { "iris:v1": 1 });
  process.exitCode = 1;
}
