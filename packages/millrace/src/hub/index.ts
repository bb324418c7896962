export { type Form, forms } from "./form.js";
export { type ConnectOptions, Hub, type HubOptions, type HubStats, type PublishOptions } from "./hub.js";
export type { HubEvent, ReadOptions } from "./reader.js";
export type { Connection, Identity } from "./subscriber.js";
