/**
 * What a process of an instance is started with. The agent and the controller get one JSON argument; actors get the path of their
 * local file (`ActorFile`). `launch.json` holds the agent's, so that any process of the instance may start it again.
 */

import type { ProcessIdentity } from "./places.ts";
import type { HttpConfig } from "./records.ts";

export interface AgentLaunch {
  readonly instance: string;
  readonly node: string;
  readonly stateDir: string;
  readonly runDir: string;
  /** Of this node: `head: "true"` marks a head node. */
  readonly labels?: Readonly<Record<string, string>> | undefined;
  /** Wanted HTTP options; they replace the saved ones only where given. */
  readonly http: Partial<HttpConfig>;
  /** The instance ends, and is erased, when one of these processes goes. None = it is detached. */
  readonly owners: readonly ProcessIdentity[];
  /** `files`: stdout and stderr of every process go to log files; `inherit`: to the agent's own. */
  readonly output: "files" | "inherit";
  /** Started by `start` or `run`: a stopped instance runs again. A rescue never resumes. */
  readonly resume: boolean;
  /** Flags of the Node runtime that every process of ours needs. */
  readonly execArgv: readonly string[];
  /** Also answer REST and long polls on TCP, with the token of the state folder. */
  readonly api?: ApiListener | undefined;
  /** Answer scrapes there; absent: nowhere. */
  readonly metrics?: ApiListener | undefined;
}

/** Content of `launch.json`: all that is needed to start the agent again. Mode 0600: it holds the environment. */
export interface SavedLaunch {
  readonly launch: AgentLaunch;
  readonly instanceId: string;
  readonly createdAt: number;
  readonly execPath: string;
  /** The agent's main file. */
  readonly entry: string;
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
}

/**
 * Environment variable by which the agent tells a proxy which of its file descriptors is the listening socket to accept from.
 * Absent: the proxy binds the host and port of its spec itself, sharing the port with the node's other proxies (`reusePort`).
 */
export const LISTEN_FD_VARIABLE = "MAITRED_LISTEN_FD";

/** Environment variable that holds the path of an actor's local file: by it a next agent finds a process that no file names yet. */
export const ACTOR_FILE_VARIABLE = "MAITRED_ACTOR_FILE";

export interface ApiListener {
  readonly host: string;
  readonly port: number;
}

export interface ControllerLaunch {
  readonly instance: string;
  readonly instanceId: string;
  readonly node: string;
  readonly stateDir: string;
  readonly runDir: string;
  /** Lives of this node's controller: names its socket. */
  readonly incarnation: number;
  readonly http: Partial<HttpConfig>;
  readonly resume: boolean;
  /** Every process of this instance is new: nobody else can be listening. */
  readonly firstLife: boolean;
  readonly api?: ApiListener | undefined;
}
