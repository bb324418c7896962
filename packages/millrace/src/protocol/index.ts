export { onAbort } from "./abort.js";
export * from "./control.js";
export {
  checkFunction,
  checkNumber,
  checkOptionKinds,
  invalidOption,
  type Kind,
  maxTimerMs,
  withDefaults,
} from "./defaults.js";
export { type Block, encodeBlock } from "./encode.js";
export { MillraceError, type MillraceErrorCode } from "./errors.js";
export {
  type AddressedEvent,
  type AnyEvents,
  type CheckedEvent,
  checkEvent,
  dataText,
  eventName,
  type PublishEvent,
} from "./event.js";
export {
  assertChannel,
  broadcastChannel,
  connectionPrefix,
  defaultChannel,
  isPersonalChannel,
  maxChannelBytes,
  maxNameBytes,
  reservedEventPrefix,
  runsChannel,
} from "./names.js";
export { createParser, type Parser, type ParserHandlers, type ParserOptions, type StreamEvent } from "./parse.js";
export { formatPosition, type Position, parsePosition } from "./position.js";
export {
  covers,
  isWithin,
  parseSelection,
  patternsOf,
  prefixesOf,
  type Selection,
  selectionOf,
  selects,
} from "./selection.js";
