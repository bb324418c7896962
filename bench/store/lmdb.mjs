// Candidate 1 and 2: LMDB. One key for each record; `lmdb` commits inside the call, `lmdb-async` on lmdb's own thread.
import { open as openEnvironment } from "lmdb";

/** Opens or creates the log in `dir`. `power`: every commit is synced before it is acknowledged. */
export async function open(dir, { power = false, async = false } = {}) {
  const db = openEnvironment({
    path: dir,
    encoding: "binary",
    cache: false,
    noSync: !power,
    // Left on, a commit is acknowledged before it has been synced: that would be neither of our two durabilities.
    overlappingSync: false,
  });

  const put = (records) => {
    for (const { seq, bytes } of records) {
      // The batch's own promise tells of a failure; without this, each put's promise would tell of it too, unhandled.
      db.put(seq, bytes)?.catch?.(() => {});
    }
  };

  return {
    append(records) {
      if (async) return db.batch(() => put(records));
      db.transactionSync(() => put(records));
    },

    async *read(after, maxBytes) {
      let batch = [];
      let size = 0;
      for (const { key, value } of db.getRange({ start: after + 1 })) {
        batch.push({ seq: key, bytes: value });
        size += value.length;
        if (size < maxBytes) continue;
        yield batch;
        batch = [];
        size = 0;
      }
      if (batch.length > 0) yield batch;
    },

    async deleteUpTo(seq) {
      db.transactionSync(() => {
        for (const key of db.getKeys({ end: seq + 1 })) db.remove(key);
      });
    },

    close: () => db.close(),
  };
}
