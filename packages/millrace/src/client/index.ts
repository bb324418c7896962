export type { BackoffOptions } from "./backoff.js";
export { connect } from "./connect.js";
export type {
  ConnectFetch,
  ConnectFetchInit,
  ConnectOptions,
  FallbackOptions,
  Share,
  Snapshot,
} from "./connect-options.js";
export { ConnectionError } from "./connection-error.js";
export type { ConnectionEvents, ReceivedEvent } from "./connection-events.js";
export type { CursorStore, Persist } from "./cursor.js";
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
export type { ConnectionState, ConnectionStatus } from "./status.js";
export type { Subscription } from "./subscription.js";
export { acrossTabs, type TabsOptions } from "./tabs/across-tabs.js";
export type { EventSourceFetchInit, FetchLike, FetchLikeResponse, ReaderLike } from "./web-types.js";
