// Runs one task against one candidate in a process of its own: `node child.mjs TASK CANDIDATE DIR [ARG [EXTRA]]`.
// Each line on standard output is JSON, written synchronously, so that it survives whatever ends the process.
import fs from "node:fs";
import { cost, read } from "./cost.mjs";
import { eventOf, recordsOf } from "./events.mjs";

const CANDIDATES = {
  lmdb: { file: "./lmdb.mjs", options: {} },
  "lmdb-async": { file: "./lmdb.mjs", options: { async: true } },
  level: { file: "./level.mjs", options: {} },
  segments: { file: "./segments.mjs", options: {} },
};

const [task, candidate, dir, arg, extra] = process.argv.slice(2);
const { file, options } = CANDIDATES[candidate];
const module = await import(file);
const open = (at, more = {}) => module.open(at, { ...options, ...more });
const say = (line) => fs.writeSync(1, `${JSON.stringify(line)}\n`);

async function fill(log, after, count) {
  for (let seq = after; seq < after + count; seq += 100) await log.append(recordsOf(seq, 100));
}

function usedBytes(at) {
  return fs.readdirSync(at).reduce((sum, name) => sum + fs.statSync(`${at}/${name}`).blocks * 512, 0);
}

const tasks = {
  cost: async () => say(await cost(open, dir)),
  read: async () => say(await read(open, dir)),

  async fill() {
    const log = await open(dir);
    await fill(log, 0, Number(arg));
    await log.close();
  },

  /** Appends until it is killed; says each sequence once it is acknowledged. */
  async write() {
    const log = await open(dir);
    for (let seq = Number(arg); ; seq += 10) {
      await log.append(recordsOf(seq, 10));
      fs.writeSync(1, `${seq + 10}\n`);
    }
  },

  /** Reads everything and compares it with what was written. */
  async verify() {
    const log = await open(dir);
    let [count, wrong, last] = [0, 0, 0];
    for await (const batch of log.read(0, 256 * 1024)) {
      for (const { seq, bytes } of batch) {
        if (seq <= last || !eventOf(seq).equals(bytes)) wrong++;
        last = seq;
        count++;
      }
    }
    say({ count, wrong, last });
    await log.close();
  },

  /** Fills the disk, has 1,000 appends of `extra` events refused, deletes the file `arg`, then appends 100 more. */
  async full() {
    const log = await open(dir);
    const size = Number(extra);
    let [last, failures] = [0, 0];
    const attempt = async () => {
      try {
        await log.append(recordsOf(last, size));
        last += size;
      } catch {
        failures++;
      }
    };
    while (failures < 1000) {
      await attempt();
      if (last % 10_000 === 0 || failures > 0) say({ stage: "refusing", last, failures });
    }
    say({ stage: "refused", last, failures });
    fs.rmSync(arg);
    failures = 0;
    for (let i = 0; i < 100; i++) await attempt();
    say({ stage: "freed", last, failures });
    await log.close();
  },

  async retain() {
    const log = await open(dir);
    await fill(log, 0, 200_000);
    const before = usedBytes(dir);
    const start = performance.now();
    await log.deleteUpTo(100_000);
    const deleteMs = performance.now() - start;
    const deleted = usedBytes(dir);
    await log.compact?.();
    const compacted = usedBytes(dir);
    await fill(log, 200_000, 100_000);
    say({ before, deleteMs, deleted, compacted, rewritten: usedBytes(dir) });
    await log.close();
  },
};

await tasks[task]();
