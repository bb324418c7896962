export { createHub, type Millrace } from "./create.js";
export type { Answer } from "./http/api.js";
export type { AccessRequest, Action, Authorize, Refusal } from "./http/authorize.js";
export type { Limits } from "./http/limits.js";
export type { Connection, HubEvent, HubStats, Identity, PublishOptions, ReadOptions } from "./hub/index.js";
export type { Turn } from "./hub/turn.js";
export { createMemoryLog, type Log, type MemoryLogOptions, type Retention } from "./log/index.js";
export type { MillraceOptions } from "./options.js";
export { type CheckedEvent, MillraceError, type MillraceErrorCode, type PublishEvent } from "./protocol/index.js";
