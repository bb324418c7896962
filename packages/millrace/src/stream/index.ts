export { runHandler, type StreamHandler } from "./handler.js";
export type { SendEvent } from "./send-event.js";
export { type EventStream, OpenStream, type StreamIdentity } from "./stream.js";
