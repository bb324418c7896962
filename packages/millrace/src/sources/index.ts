export { every } from "./every.js";
export type { FigureSources, SystemFigures } from "./machine/sampler.js";
export { type RequestFigures, type RequestMeter, requestMeter } from "./request-meter.js";
export { type ResilientEvent, type ResilientOptions, resilient } from "./resilient.js";
export { type SelfTestOptions, selfTest, type TestedStream } from "./self-test.js";
export { type SystemFiguresOptions, systemFigures } from "./system-figures.js";
