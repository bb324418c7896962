// Candidate 3: LevelDB. One key for each record, 8 bytes big-endian; writes run on libuv's thread pool.
import { ClassicLevel } from "classic-level";

const toKey = (seq) => {
  const key = Buffer.allocUnsafe(8);
  key.writeBigUInt64BE(BigInt(seq));
  return key;
};

/** Opens or creates the log in `dir`. `power`: every batch is synced before it is acknowledged. */
export async function open(dir, { power = false } = {}) {
  const db = new ClassicLevel(dir, { keyEncoding: "buffer", valueEncoding: "buffer", compression: false });
  await db.open();

  return {
    append(records) {
      return db.batch(
        records.map(({ seq, bytes }) => ({ type: "put", key: toKey(seq), value: bytes })),
        { sync: power },
      );
    },

    async *read(after, maxBytes) {
      const iterator = db.iterator({ gt: toKey(after), fillCache: false, highWaterMarkBytes: maxBytes });
      try {
        for (;;) {
          const entries = await iterator.nextv(100_000);
          if (entries.length === 0) return;
          yield entries.map(([key, value]) => ({ seq: Number(key.readBigUInt64BE()), bytes: value }));
        }
      } finally {
        await iterator.close();
      }
    },

    deleteUpTo: (seq) => db.clear({ lte: toKey(seq) }),

    compact: () => db.compactRange(toKey(0), toKey(Number.MAX_SAFE_INTEGER)),

    close: () => db.close(),
  };
}
