// Cost of an append and rate of a catch-up read, for one candidate, in one process.
import fs from "node:fs";
import { joined, recordsOf } from "./events.mjs";

const READ_EVENTS = 200_000;
const READ_BATCH_BYTES = 256 * 1024;

const idle = new Int32Array(new SharedArrayBuffer(4));

/** Nanoseconds this thread has been on a CPU. Node 20 has no call for one thread, so it is Linux's own count. */
function mainThreadNs() {
  // Linux brings the count up to date only when the thread leaves the CPU; read at once it is up to a tick old.
  Atomics.wait(idle, 0, 0, 1);
  try {
    return Number(fs.readFileSync("/proc/thread-self/schedstat", "utf8").split(" ")[0]);
  } catch {
    return Number.NaN;
  }
}

async function timed(rounds, work) {
  const mainStart = mainThreadNs();
  const cpuStart = process.cpuUsage();
  const start = performance.now();
  for (let i = 0; i < rounds; i++) {
    const pending = work(i);
    if (pending) await pending;
  }
  const wallUs = ((performance.now() - start) * 1000) / rounds;
  const cpu = process.cpuUsage(cpuStart);
  const mainUs = (mainThreadNs() - mainStart) / 1000 / rounds;
  return { wallUs, mainUs, allUs: (cpu.user + cpu.system) / rounds };
}

async function appendCost(log, from, { rounds, size, join }) {
  const warmUp = Math.ceil(rounds / 4);
  const batches = Array.from({ length: warmUp + rounds }, (_, i) => recordsOf(from + i * size, size));
  const append = (batch) => log.append(join ? joined(batch) : batch);
  for (const batch of batches.slice(0, warmUp)) await append(batch);
  return timed(rounds, (i) => append(batches[warmUp + i]));
}

/** Append costs in microseconds: on the main thread, in all threads, and until the acknowledgement. */
export async function cost(open, dir) {
  const results = {};
  for (const durability of ["process", "power"]) {
    const power = durability === "power";
    const log = await open(`${dir}/${durability}`, { power });
    const rounds = power ? 60 : 1000;
    results[`${durability} 1`] = await appendCost(log, 0, { rounds: power ? 60 : 10_000, size: 1 });
    results[`${durability} 100`] = await appendCost(log, 1e6, { rounds, size: 100 });
    results[`${durability} 100 joined`] = await appendCost(log, 2e6, { rounds, size: 100, join: true });
    await log.close();
  }
  return results;
}

/** Reads all events in order, as one record each and as joined records of 100. */
export async function read(open, dir) {
  const results = {};
  for (const join of [false, true]) {
    const at = `${dir}/read-${join}`;
    const writer = await open(at);
    for (let seq = 0; seq < READ_EVENTS; seq += 100) {
      const batch = recordsOf(seq, 100);
      await writer.append(join ? joined(batch) : batch);
    }
    await writer.close();
    const log = await open(at);
    let [records, bytes] = [0, 0];
    const { wallUs, mainUs } = await timed(1, async () => {
      for await (const batch of log.read(0, READ_BATCH_BYTES)) {
        records += batch.length;
        for (const record of batch) bytes += record.bytes.length;
      }
    });
    await log.close();
    if (records !== (join ? READ_EVENTS / 100 : READ_EVENTS)) throw new Error(`read ${records} records`);
    const name = join ? "read joined" : "read";
    results[name] = {
      wallUs,
      mainUs,
      eventsPerSecond: (READ_EVENTS / wallUs) * 1e6,
      bytesPerSecond: (bytes / wallUs) * 1e6,
    };
  }
  return results;
}
