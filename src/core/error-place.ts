/** Where in user code an error was made, for people who do not see its stack. */
import { pathOfUrl } from "./module-problem.ts";

/** ES modules stand in frames as file URLs, CommonJS as paths. */
const FRAME = /^\s+at (?:.*? \()?(?:async )?((?:file:\/\/)?\/.+?):(\d+:\d+)\)?$/;

/** `/srv/hello.ts:3:9`: the first frame that is a file of the user's own, or else of a package. Undefined = the stack names no file. */
export function placeInStack(stack: string | undefined): string | undefined {
  const frames = (stack ?? "").split("\n").flatMap((line) => {
    const found = FRAME.exec(line);
    return found === null ? [] : [`${pathOfUrl(found[1]!)}:${found[2]}`];
  });
  return frames.find((frame) => !frame.includes("/node_modules/")) ?? frames[0];
}
