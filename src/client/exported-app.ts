/**
 * The plan of an app that a program holds in its hands. Replicas import the app's file and take its default export, so that must be this
 * very app; whoever is not sure is told so here, before anything is asked of the instance. (What the file says to a fresh process the
 * controller finds out for itself.)
 */
import { realpathSync } from "node:fs";
import { fileURLToPath, pathToFileURL } from "node:url";
import { type App, appDefinitionOf } from "../api/api.ts";
import { ServeError } from "../base/serve-error.ts";
import { APP_RELOAD_MS } from "../model/limits.ts";
import type { Clock } from "../ports/clock.ts";
import type { ModuleLoader } from "../ports/module-loader.ts";
import { type AppPlan, planApp } from "./app-plan.ts";

export interface ExportedAppPorts {
  readonly modules: ModuleLoader;
  readonly clock: Clock;
}

/** @throws ServeError `app-invalid`, `config-invalid`, and what loading the file throws. */
export const planOfExported = async (ports: ExportedAppPorts, app: App): Promise<AppPlan> => {
  const definition = appDefinitionOf(app);
  if (definition === undefined) {
    throw new ServeError("app-invalid", "deploy and plan take an app: what defineApp({ … }) returns.");
  }
  const url = urlOf(definition.file);
  if (url === undefined) {
    throw new ServeError(
      "app-invalid",
      `this app was not made in a file (${definition.file ?? "no file"}), and replicas could not import it. Move defineApp({ … }) into a file and export it as default.`,
    );
  }
  const plan = planApp({ url, defaultExport: app });
  if (!isMain(url)) await refuseUnlessDefault(ports, { url, plan });
  return plan;
};

/** The runtime names files by URL or by path. */
const urlOf = (file: string | undefined): string | undefined => {
  if (file === undefined) return undefined;
  if (file.startsWith("file:")) return file;
  return file.startsWith("/") ? pathToFileURL(file).href : undefined;
};

/** The program's own file may still be running, and waiting for this call. */
const isMain = (url: string): boolean => {
  const [, main] = process.argv;
  if (main === undefined) return false;
  try {
    return realpathSync(main) === realpathSync(fileURLToPath(url));
  } catch {
    return false; // one of them is no file any more
  }
};

const refuseUnlessDefault = async (
  { modules, clock }: ExportedAppPorts,
  { url, plan }: { readonly url: string; readonly plan: AppPlan },
): Promise<void> => {
  const late = Promise.withResolvers<"late">();
  const timer = clock.after(APP_RELOAD_MS, () => late.resolve("late"));
  const loaded = await Promise.race([modules.load(url), late.promise]).finally(() => timer.cancel());
  const file = fileURLToPath(url);
  if (loaded === "late") {
    throw new ServeError(
      "app-invalid",
      `app file ${file} is still being loaded after ${APP_RELOAD_MS / 1_000} s: a file that deploys itself while it is imported waits for itself. Deploy from another file.`,
    );
  }
  const exported = loaded["default"];
  // Loaded a second time (by another loader, as test runners do) it is another object that says the same.
  const isThis =
    appDefinitionOf(exported) !== undefined &&
    JSON.stringify(planApp({ url, defaultExport: exported })) === JSON.stringify(plan);
  if (isThis) return;
  throw new ServeError(
    "app-invalid",
    `this app was made in ${file}, but it is not that file's default export, which is what replicas load. Write \`export default defineApp({ … })\` there.`,
  );
};
