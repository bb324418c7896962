export * from "./control.js";
export { checkNumber, invalidOption, maxTimerMs, withDefaults } from "./defaults.js";
export { type Block, encodeBlock } from "./encode.js";
export { MillraceError, type MillraceErrorCode } from "./errors.js";
export { type CheckedEvent, checkEvent, dataText, eventName, type PublishEvent } from "./event.js";
export { assertChannel, defaultChannel, isPersonalChannel, maxChannelBytes, maxNameBytes } from "./names.js";
export { createParser, type Parser, type ParserHandlers, type ParserOptions, type StreamEvent } from "./parse.js";
export { formatPosition, type Position, parsePosition } from "./position.js";
export { covers, parseSelection, patternsOf, prefixesOf, type Selection, selectionOf, selects } from "./selection.js";
