export { createHub, type Millrace, type MillraceOptions } from "./create.js";
export type { AccessRequest, Action, Authorize, Limits, Refusal } from "./http/index.js";
export type { Connection, HubEvent, HubStats, Identity, PublishOptions, ReadOptions } from "./hub/index.js";
export { createMemoryLog, type Log, type MemoryLogOptions, type Retention } from "./log/index.js";
export { MillraceError, type MillraceErrorCode, type PublishEvent } from "./protocol/index.js";
