export { type Collected, type CollectOptions, collect, type SourceEvent } from "./collect.js";
export { createFakeHub, type FakeHub } from "./fake-hub.js";
export type { DownAnswer } from "./fake-network.js";
export { type FaultServer, type FaultServerOptions, startFaultServer } from "./fault-server.js";
export type { Trickle } from "./flow.js";
export type { ScriptedAnswer, ScriptedResponse, SeenRequest } from "./script.js";
export { until } from "./until.js";
