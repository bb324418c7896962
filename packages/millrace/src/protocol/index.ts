export * from "./control.js";
export { checkNumber, invalidOption, maxTimerMs, withDefaults } from "./defaults.js";
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
  defaultChannel,
  isPersonalChannel,
  maxChannelBytes,
  maxNameBytes,
  reservedEventPrefix,
} from "./names.js";
export { createParser, type Parser } from "./parse.js";
export {
  createTextParser,
  type ParserHandlers,
  type ParserOptions,
  type StreamEvent,
  type TextParser,
} from "./parse-text.js";
export { formatPosition, type Position, parsePosition } from "./position.js";
export { covers, parseSelection, patternsOf, prefixesOf, type Selection, selectionOf, selects } from "./selection.js";
