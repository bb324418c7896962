import { MillraceError, parseSelection, type Selection, selectionOf, selects } from "../protocol/index.js";

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

/** @throws MillraceError `invalid_channel` */
export function changeSelection({ exact, prefixes }: Selection, { add = [], drop = [] }: ChannelChange): Selection {
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

/** Whether the other selection holds all that this one does. */
export function isWithin({ exact, prefixes }: Selection, other: Selection): boolean {
  return (
    exact.every((name) => selects(other, name)) &&
    prefixes.every((prefix) => other.prefixes.some((wider) => prefix.startsWith(wider)))
  );
}
