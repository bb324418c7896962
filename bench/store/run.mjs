// Compares the candidates for the embedded event log: `npm install && node run.mjs`.
// --dir (by default the system's temporary folder) decides which disk is measured. Takes about three minutes.
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { options } from "../support/options.mjs";
import { damaged } from "./damage.mjs";
import { fullDisk, killed, runChild } from "./faults.mjs";
import { footprint, median, printTable, spread } from "./report.mjs";

const values = options(
  {
    dir: { default: os.tmpdir(), help: "a folder on the disk that is measured" },
    repeats: { default: 7, help: "runs of each; the median is shown" },
    "disk-rounds": { default: 12, help: "times that the full disk is written to" },
    seed: { default: Date.now() % 1e6, least: 0, help: "of what is damaged" },
  },
  { built: false },
);
const CANDIDATES = ["lmdb", "lmdb-async", "level", "segments"];
const BASE = "segments";
const root = fs.mkdtempSync(path.join(values.dir, "store-bench-"));

/** Every candidate once per repeat, each time in another order, so that a slow minute of the machine hits all alike. */
async function interleave(task) {
  const samples = Object.fromEntries(CANDIDATES.map((name) => [name, []]));
  for (let repeat = 0; repeat < values.repeats; repeat++) {
    for (let i = 0; i < CANDIDATES.length; i++) {
      const name = CANDIDATES[(i + repeat) % CANDIDATES.length];
      const dir = path.join(root, `${task}-${name}-${repeat}`);
      fs.mkdirSync(dir);
      const { lines, code, signal, stderr } = await runChild([task, name, dir]);
      if (code !== 0) throw new Error(`${task} ${name}: exit ${code ?? signal}\n${stderr}`);
      samples[name].push(lines.at(-1));
      fs.rmSync(dir, { recursive: true });
    }
  }
  return samples;
}

function costRows(samples) {
  const rows = [];
  for (const load of Object.keys(samples[BASE][0])) {
    for (const [column, label] of [
      ["wallUs", "wall"],
      ["mainUs", "main thread CPU"],
      ["allUs", "CPU of all threads"],
    ]) {
      const of = (name) => samples[name].map((sample) => sample[load][column]);
      const base = median(of(BASE));
      const cell = (name) => `${spread(of(name))} · ${(median(of(name)) / base).toFixed(1)}×`;
      rows.push([`${load}: ${label}, µs`, ...CANDIDATES.map(cell)]);
    }
  }
  return rows;
}

function readRows(samples) {
  return Object.keys(samples[BASE][0]).map((load) => {
    const of = (name) => samples[name].map((sample) => sample[load].eventsPerSecond / 1e6);
    const base = median(of(BASE));
    const cell = (name) => `${spread(of(name))} · ${(median(of(name)) / base).toFixed(2)}×`;
    return [`${load}, million events/s`, ...CANDIDATES.map(cell)];
  });
}

function retainRows(samples) {
  const mib = (bytes) => (bytes / 2 ** 20).toFixed(1);
  const steps = {
    before: "200k events",
    deleted: "oldest half deleted",
    compacted: "compacted by hand",
    rewritten: "100k more",
  };
  const rows = Object.entries(steps).map(([step, label]) => [
    `${label}, MiB`,
    ...CANDIDATES.map((name) => mib(median(samples[name].map((sample) => sample[step])))),
  ]);
  return [...rows, ["the deletion, ms", ...CANDIDATES.map((name) => spread(samples[name].map((s) => s.deleteMs)))]];
}

/** Runs `probe` for each candidate; it answers an object of label → text, which becomes rows. */
async function probeRows(probe) {
  const answers = {};
  for (const name of CANDIDATES) answers[name] = await probe(name, path.join(root, `probe-${name}`));
  return Object.keys(answers[BASE]).map((label) => [label, ...CANDIDATES.map((name) => answers[name][label] ?? "–")]);
}

try {
  console.log(
    `node ${process.version}, ${os.cpus()[0].model}, ${os.cpus().length} CPUs, ${values.repeats} repeats, seed ${values.seed}`,
  );
  console.log(`disk: ${root}. Cells: median (min–max) · ratio to ${BASE}.`);
  const header = ["", ...CANDIDATES];
  printTable("Append (1, 2)", header, costRows(await interleave("cost")));
  printTable("Catch-up: 200k events in order, 256 KiB at a time (3)", header, readRows(await interleave("read")));
  if (process.getuid?.() === 0)
    printTable("Full disk (4)", header, await probeRows((name, dir) => fullDisk(name, dir, values["disk-rounds"])));
  else console.log("\nFull disk (4): skipped, mounting a small tmpfs needs root.");
  printTable("kill -9 while writing, 5 times (5)", header, await probeRows(killed));
  printTable("Retention (6)", header, retainRows(await interleave("retain")));
  printTable("Damaged files", header, await probeRows((name, dir) => damaged(name, dir, values.seed)));
  printTable("Package (7)", header, await probeRows(footprint));
} finally {
  fs.rmSync(root, { recursive: true, force: true });
}
