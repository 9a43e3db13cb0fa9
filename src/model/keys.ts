/** The keys of the store, all under `/<instance>/`. Who may write which is in ARCHITECTURE.md. */
import type { ActorName, InstanceName, NodeName } from "./ids.ts";

export const keysOf = (instance: InstanceName) => {
  const root = `/${instance}/`;
  return {
    root,
    leader: `${root}leader`,
    instance: `${root}instance`,
    backends: `${root}backends/`,
    backend: (tag: string) => `${root}backends/${tag}`,
    endpoints: `${root}endpoints/`,
    endpoint: (tag: string) => `${root}endpoints/${tag}`,
    goals: `${root}goals/`,
    goal: (id: string) => `${root}goals/${id}`,
    apps: `${root}apps/`,
    app: (name: string) => `${root}apps/${name}`,
    assigns: `${root}assign/`,
    assignsOf: (node: NodeName) => `${root}assign/${node}/`,
    assign: (node: NodeName, actor: ActorName) => `${root}assign/${node}/${actor}`,
    nodes: `${root}nodes/`,
    node: (node: NodeName) => `${root}nodes/${node}`,
    statuses: `${root}status/`,
    statusesOf: (node: NodeName) => `${root}status/${node}/`,
    status: (node: NodeName, actor: ActorName) => `${root}status/${node}/${actor}`,
  } as const;
};

export type Keys = ReturnType<typeof keysOf>;
