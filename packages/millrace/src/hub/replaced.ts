import type { Entry } from "../log/index.js";

/** Those of some entries behind which another has the same channel and key. */
export function replacedIn(entries: readonly Entry[]): ReadonlySet<Entry> {
  const replaced = new Set<Entry>();
  const keysOf = new Map<string, Set<string>>();
  for (let at = entries.length - 1; at >= 0; at--) {
    const entry = entries[at] as Entry;
    const { channel, key } = entry;
    if (key === undefined) continue;
    const keys = keysOf.get(channel);
    if (!keys) keysOf.set(channel, new Set([key]));
    else if (keys.has(key)) replaced.add(entry);
    else keys.add(key);
  }
  return replaced;
}
