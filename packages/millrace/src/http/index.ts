export type { AccessRequest, Action, Authorize, Refusal } from "./authorize.js";
export type { Conversation, FrontRequest } from "./conversation.js";
export { type Listener, type ListenerOptions, listen } from "./listener.js";
export type { NodeRequest, NodeResponse } from "./node.js";
