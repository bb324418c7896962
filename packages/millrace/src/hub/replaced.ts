import type { Entry } from "../log/index.js";

/** So few are compared with each other: sets for each channel cost more. */
const few = 32;

/** The entries but for those behind which another has the same channel and key. */
export function withoutReplaced(entries: readonly Entry[]): Entry[] {
  if (entries.length > few) return withoutReplacedOf(entries);
  return entries.filter(({ channel, key }, at) => {
    if (key === undefined) return true;
    for (let later = entries.length - 1; later > at; later--) {
      const other = entries[later] as Entry;
      if (other.key === key && other.channel === channel) return false;
    }
    return true;
  });
}

function withoutReplacedOf(entries: readonly Entry[]): Entry[] {
  const kept: Entry[] = [];
  const keysOf = new Map<string, Set<string>>();
  for (let at = entries.length - 1; at >= 0; at--) {
    const entry = entries[at] as Entry;
    const { channel, key } = entry;
    if (key !== undefined) {
      const keys = keysOf.get(channel);
      if (keys?.has(key)) continue;
      if (keys) keys.add(key);
      else keysOf.set(channel, new Set([key]));
    }
    kept.push(entry);
  }
  return kept.reverse();
}
