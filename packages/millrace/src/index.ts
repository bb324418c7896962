export { createHub, type Millrace } from "./create.js";
export type { Answer } from "./http/api.js";
export type { AccessRequest, Action, Authorize, Refusal } from "./http/authorize.js";
export { type EventStreamOptions, type EventStreamRoute, eventStream } from "./http/event-stream.js";
export type { Following, Select } from "./http/hub-stream.js";
export type { Limits } from "./http/limits.js";
export type { AnyRequest, Route } from "./http/mounted.js";
export {
  createServer,
  type Server,
  type ServerHandler,
  type ServerOptions,
  type ServerRequest,
  type ServerRouteOptions,
} from "./http/server.js";
export { createTickets, type TicketOptions, type Tickets } from "./http/tickets.js";
export type {
  ChannelChange,
  Connection,
  ConnectionFilter,
  HubEvent,
  HubStats,
  Identity,
  Produced,
  PublishOptions,
  ReadOptions,
  RunEnd,
  RunOptions,
  RunWriter,
  StartedRun,
  Watch,
  WatchOptions,
} from "./hub/index.js";
export type { Turn } from "./hub/turn.js";
export { createMemoryLog, type Log, type MemoryLogOptions, type Retention, type RetentionPolicy } from "./log/index.js";
export type { MillraceOptions } from "./options.js";
export {
  type AddressedEvent,
  type AnyEvents,
  type CheckedEvent,
  MillraceError,
  type MillraceErrorCode,
  type PublishEvent,
} from "./protocol/index.js";
export type { EventStream, Sendable, SendEvent, Source, StreamHandler, StreamIdentity } from "./stream/index.js";
