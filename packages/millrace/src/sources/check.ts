import { invalidOption, maxTimerMs } from "../protocol/index.js";

/** @throws MillraceError `invalid_option` unless it is a time, in milliseconds, that a timer can wait */
export function checkMs(name: string, value: number, least: number): void {
  if (Number.isFinite(value) && value >= least && value <= maxTimerMs) return;
  throw invalidOption(name, value, `it is a number from ${least} to ${maxTimerMs}`);
}

/** @throws MillraceError `invalid_option` unless it is a whole number */
export function checkCount(name: string, value: number, least: number): void {
  if (Number.isSafeInteger(value) && value >= least) return;
  throw invalidOption(name, value, `it is a whole number, ${least} or more`);
}
