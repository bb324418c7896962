export { runHandler, type StreamHandler } from "./handler.js";
export type { Sendable, SendEvent } from "./send-event.js";
export { type EventStream, OpenStream, type Source, type StreamIdentity } from "./stream.js";
