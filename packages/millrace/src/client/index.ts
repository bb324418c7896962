export { ErrorEvent } from "./error-event.js";
export { EventSource, type EventSourceEventMap, type EventSourceInit } from "./event-source.js";
export type { EventSourceFetchInit, FetchLike, FetchLikeResponse, ReaderLike } from "./web-types.js";
