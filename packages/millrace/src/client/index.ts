export type { BackoffOptions } from "./backoff.js";
export { connect } from "./connect.js";
export type { ConnectFetch, ConnectFetchInit, ConnectOptions, FallbackOptions, Snapshot } from "./connect-options.js";
export { ConnectionError } from "./connection-error.js";
export type { CursorStore } from "./cursor.js";
export { type DebugOptions, debug } from "./debug.js";
export type { Parse, StandardSchema } from "./decode.js";
export { ErrorEvent } from "./error-event.js";
export { EventSource, type EventSourceEventMap, type EventSourceInit } from "./event-source.js";
export {
  PollingClient,
  type PollingEvents,
  type PollingOptions,
  type PollingStats,
} from "./polling-client.js";
export type {
  ConnectionEvents,
  ConnectionState,
  ConnectionStatus,
  ReceivedEvent,
  Subscription,
} from "./subscription.js";
export type { EventSourceFetchInit, FetchLike, FetchLikeResponse, ReaderLike } from "./web-types.js";
