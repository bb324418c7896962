export type { Entry } from "./entry.js";
export type * from "./log.js";
export { defaultRetention } from "./log.js";
export { createMemoryLog, type MemoryLogOptions } from "./memory.js";
