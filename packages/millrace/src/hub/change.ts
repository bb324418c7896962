import { invalidOption, MillraceError, parseSelection, type Selection, selectionOf } from "../protocol/index.js";

/** How the channels of a connection change. */
export interface ChannelChange {
  /** Names and `prefix/*`. What it reads already stays. */
  readonly add?: readonly string[];
  /**
   * As they are listed in `Connection.channels`; what is not there is no error. A name that a prefix of the connection
   * covers is not listed: it comes and goes with the prefix.
   */
  readonly drop?: readonly string[];
  /** The connection ends then at the latest, in milliseconds since 1970: when the right to what is added does. */
  readonly expiresAtMs?: number;
}

const members = ["add", "drop", "expiresAtMs"];

/** @throws MillraceError `invalid_channel`, `invalid_option` */
export function changeSelection({ exact, prefixes }: Selection, change: ChannelChange): Selection {
  check(change);
  const { add = [], drop = [] } = change;
  // A text would be taken for a list of its letters.
  if (!Array.isArray(add) || !Array.isArray(drop)) {
    throw new MillraceError("invalid_channel", 'add and drop are lists of channels, such as ["news", "chat/*"]');
  }
  const added = parseSelection(add);
  parseSelection(drop);
  const dropped = new Set(drop);
  const both = add.find((pattern) => dropped.has(pattern));
  if (both !== undefined) {
    throw new MillraceError("invalid_channel", `channel ${JSON.stringify(both)} is in add and in drop: decide for one`);
  }
  const names = exact.filter((name) => !dropped.has(name));
  const wide = prefixes.filter((prefix) => !dropped.has(`${prefix}*`));
  return selectionOf([...names, ...added.exact], [...wide, ...added.prefixes]);
}

/** A change that is misspelt would be none, and nobody would know. */
function check(change: unknown): void {
  if (typeof change !== "object" || change === null || Array.isArray(change)) {
    throw invalidOption("the change", change, 'it is such as { add: ["news"], drop: ["chat/*"] }');
  }
  const unknown = Object.keys(change).find((name) => !members.includes(name));
  if (unknown !== undefined) {
    throw new MillraceError("invalid_option", `a change has no ${JSON.stringify(unknown)}: ${members.join(", ")}`);
  }
  const { expiresAtMs }: { expiresAtMs?: unknown } = change;
  if (expiresAtMs !== undefined && (typeof expiresAtMs !== "number" || Number.isNaN(expiresAtMs))) {
    throw invalidOption("expiresAtMs", expiresAtMs, "it is a number, in milliseconds since 1970");
  }
}
