export type { ChannelOptions, ConnectionOptions, EventHandlers } from "../screen/index.js";
export { type Channel, useChannel } from "./use-channel.js";
export { type Connection, useConnection } from "./use-connection.js";
export { useEvents } from "./use-events.js";
export type { Source } from "./use-source.js";
