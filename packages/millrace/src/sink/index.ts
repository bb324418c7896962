export { FetchSink } from "./fetch.js";
export { GzipSink } from "./gzip.js";
export { Http2Sink } from "./http2.js";
export { PollSink } from "./poll.js";
export type { SharedPart, Sink, SinkOwner } from "./sink.js";
export { SocketSink } from "./socket.js";
