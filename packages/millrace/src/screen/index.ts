export { Link, link } from "./link.js";
export { isOf, Recent } from "./recent.js";
export type {
  ChannelOptions,
  ConnectionOptions,
  EventHandlers,
  EventNamed,
  KnownName,
  None,
  Told,
  Url,
} from "./types.js";
