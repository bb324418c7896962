// Candidate 4: own append-only segment files. One frame for each record, one write for each batch.
import fs from "node:fs";
import path from "node:path";
import { promisify } from "node:util";
import { frameBytes, SEGMENT_BYTES, walkFrames, writeFrame } from "./frames.mjs";

const fdatasync = promisify(fs.fdatasync);
/** Opens or creates the log in `dir`. `power`: every batch is fdatasynced before it is acknowledged. */
export async function open(dir, { power = false } = {}) {
  fs.mkdirSync(dir, { recursive: true });
  const names = fs
    .readdirSync(dir)
    .filter((name) => name.endsWith(".seg"))
    .sort();
  const segments = names.map((name) => ({ file: path.join(dir, name), first: Number.parseInt(name, 10) }));
  let scratch = Buffer.allocUnsafe(64 * 1024);
  let fd = -1;
  let size = 0;

  const syncDirectory = () => {
    const directory = fs.openSync(dir, "r");
    fs.fsyncSync(directory);
    fs.closeSync(directory);
  };

  const last = segments.at(-1);
  if (last) {
    fd = fs.openSync(last.file, "r+");
    const bytes = fs.readFileSync(last.file);
    walkFrames(bytes, bytes.length, true, (_seq, _start, end) => {
      size = end;
    });
    fs.ftruncateSync(fd, size); // the torn tail: bytes of an append that was never acknowledged
  }

  const roll = (first) => {
    const file = path.join(dir, `${String(first).padStart(16, "0")}.seg`);
    const next = fs.openSync(file, "w+");
    if (power) syncDirectory();
    if (fd !== -1) fs.closeSync(fd);
    segments.push({ file, first });
    fd = next;
    size = 0;
  };

  return {
    append(records) {
      const needed = records.reduce((sum, record) => sum + frameBytes(record.bytes), 0);
      if (needed > scratch.length) scratch = Buffer.allocUnsafe(needed * 2);
      if (fd === -1 || size + needed > SEGMENT_BYTES) roll(records[0].seq);
      let at = 0;
      for (const { seq, bytes } of records) at = writeFrame(scratch, at, seq, bytes);
      try {
        // A disk that fills up answers with a short write first, and with ENOSPC only at the next one.
        if (fs.writeSync(fd, scratch, 0, at, size) < at) throw new Error("short write: the disk is full");
      } catch (error) {
        fs.ftruncateSync(fd, size);
        throw error;
      }
      size += at;
      return power ? fdatasync(fd) : undefined;
    },

    async *read(after, maxBytes) {
      const from = segments.findLastIndex((segment) => segment.first <= after + 1);
      for (const { file } of segments.slice(Math.max(0, from))) {
        const handle = fs.openSync(file, "r");
        try {
          let position = 0;
          let want = maxBytes;
          for (;;) {
            const buffer = Buffer.allocUnsafe(want);
            const got = fs.readSync(handle, buffer, 0, want, position);
            const batch = [];
            const used = walkFrames(buffer, got, got < want, (seq, start, end) => {
              if (seq > after) batch.push({ seq, bytes: buffer.subarray(start, end) });
            });
            if (batch.length > 0) yield batch;
            if (got < want) break;
            want = used === 0 ? want * 2 : maxBytes;
            position += used;
          }
        } finally {
          fs.closeSync(handle);
        }
      }
    },

    async deleteUpTo(seq) {
      while (segments.length > 1 && segments[1].first <= seq + 1) fs.unlinkSync(segments.shift().file);
      if (power) syncDirectory();
    },

    async close() {
      if (fd !== -1) fs.closeSync(fd);
    },
  };
}
