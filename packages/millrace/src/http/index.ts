export type { Answer, Api } from "./api.js";
export type { AccessRequest, Action, Authorize, Refusal } from "./authorize.js";
export { readOnly } from "./authorize.js";
export { handleFetch } from "./fetch.js";
export { defaultLimits, Gate, type Limits } from "./limits.js";
export { type Listener, type ListenerOptions, listen } from "./listener.js";
export { handleNode, type NodeRequest, type NodeResponse } from "./node.js";
