import { checkOptionKinds, invalidOption } from "../protocol/index.js";
import { type Form, forms } from "./form.js";

/** How entries are written to a subscriber. Those of a group are all written to in the same manner. */
export interface Manner {
  readonly form: Form;
  /** Whether its bytes are compressed. */
  readonly gzip: boolean;
  /** Whether it is given of each key the latest only. */
  readonly conflate: boolean;
  /** It is written to once in so many milliseconds at most; 0: whenever something comes. */
  readonly everyMs: number;
}

export const everyMsBounds = { least: 10, most: 3_600_000 };

export const isEveryMs = (value: unknown): value is number =>
  Number.isInteger(value) && (value as number) >= everyMsBounds.least && (value as number) <= everyMsBounds.most;

/** @throws MillraceError `invalid_option` */
export function mannerOf({ form = "event", gzip = false, conflate, everyMs }: MannerOptions): Manner {
  checkOptionKinds("connect", { gzip, conflate }, { gzip: ["boolean"], conflate: ["boolean"] });
  if (!forms.includes(form)) throw invalidOption("form", form, `it is ${forms.join(" or ")}`);
  if (everyMs !== undefined && !isEveryMs(everyMs)) {
    throw invalidOption(
      "everyMs",
      everyMs,
      `it is a whole number from ${everyMsBounds.least} to ${everyMsBounds.most}`,
    );
  }
  if (everyMs !== undefined && conflate === false) {
    throw invalidOption("conflate", false, `with everyMs (${everyMs}) a stream is conflated: leave one of them out`);
  }
  return { form, gzip, conflate: conflate ?? everyMs !== undefined, everyMs: everyMs ?? 0 };
}

interface MannerOptions {
  readonly form?: Form;
  readonly gzip?: boolean;
  readonly conflate?: boolean;
  readonly everyMs?: number;
}
