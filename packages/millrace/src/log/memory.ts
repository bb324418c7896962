import { withDefaults } from "../protocol/index.js";
import { Channels } from "./channels.js";
import type { Entry } from "./entry.js";
import { Epochs } from "./epochs.js";
import { Keys } from "./keys.js";
import { defaultRetention, type Log, type Retention, type RetentionPolicy } from "./log.js";
import { SequencedLog } from "./sequenced.js";

export interface MemoryLogOptions {
  readonly retention?: Partial<Retention>;
  /** What some channels keep instead: the first whose pattern holds a channel counts. */
  readonly policies?: readonly RetentionPolicy[];
}

/**
 * A log in this process's memory: nothing survives a restart, which every client is told as a gap.
 * @throws MillraceError `invalid_option` for a policy that is none
 */
export function createMemoryLog({ retention, policies }: MemoryLogOptions = {}): Log {
  const kept = new Map<number, Entry>();
  const limits = withDefaults(defaultRetention, retention);
  const channels = new Channels(limits, (sequence) => kept.delete(sequence), policies);
  const epochs = new Epochs().begin(1, false);
  return new SequencedLog({
    channels,
    keys: new Keys(limits.keyAgeMs),
    tail: 0,
    cacheBytes: 4 * 1024 * 1024, // references, not copies: for reading near the tail without asking each channel
    storage: {
      epochs,
      get storedBytes() {
        return channels.bytes;
      },
      writable: true,
      prepare: () => {},
      probe: () => {},
      write: ({ entries }) => {
        for (const entry of rehome(entries)) kept.set(entry.sequence, entry);
        return 0;
      },
      read: (refs) => refs.map(({ sequence }) => kept.get(sequence) as Entry),
      sweep: () => {},
      close: () => kept.clear(),
    },
  });
}

const homeBytes = 16 * 1024;

/**
 * Entries of one batch share its buffer, and one that is kept for long keeps the whole of it. So those of a large batch
 * are copied into smaller homes: a quiet channel's single entry once held 4 MiB of its noisy neighbours.
 */
function rehome(entries: readonly Entry[]): readonly Entry[] {
  if ((entries[0]?.bytes.length ?? 0) <= homeBytes) return entries;
  const moved: Entry[] = [];
  let home = Buffer.alloc(0);
  let used = 0;
  for (const entry of entries) {
    const bytes = entry.end - entry.start;
    if (used + bytes > home.length) {
      home = Buffer.allocUnsafeSlow(Math.max(homeBytes, bytes));
      used = 0;
    }
    entry.bytes.copy(home, used, entry.start, entry.end);
    moved.push({ ...entry, bytes: home, start: used, end: used + bytes });
    used += bytes;
  }
  return moved;
}
