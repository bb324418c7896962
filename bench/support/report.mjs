import { parseArgs } from "node:util";

/**
 * The options of a command, by their defaults: a number, a text or false makes what is given of that type; `undefined` is
 * a text that may be left out. `--json` is known to all.
 */
export function options(defaults) {
  const types = Object.entries({ ...defaults, json: false });
  const known = types.map(([name, value]) => [name, { type: typeof value === "boolean" ? "boolean" : "string" }]);
  try {
    const { values } = parseArgs({ options: Object.fromEntries(known) });
    return Object.fromEntries(types.map(([name, value]) => [name, typed(name, values[name], value)]));
  } catch (error) {
    process.stderr.write(`${error.message}\nKnown are --${types.map(([name]) => name).join(", --")}.\n`);
    return process.exit(2);
  }
}

function typed(name, given, fallback) {
  if (given === undefined) return fallback;
  if (typeof fallback !== "number") return given;
  if (!Number.isFinite(Number(given))) throw new Error(`--${name} is a number, not ${given}`);
  return Number(given);
}

/** Says on standard error how far a run is: standard output is the result's. */
export function progress(text) {
  process.stderr.write(`${text}\n`);
}

export const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];

/** Of several measurements of the same thing the median of each number; what is no number is the last one's. */
export function middle(runs) {
  const entries = Object.entries(runs.at(-1));
  return Object.fromEntries(
    entries.map(([name, value]) => [name, typeof value === "number" ? median(runs.map((run) => run[name])) : value]),
  );
}

/** At most so many digits behind the point: results are read by people, and more would claim more. */
export const rounded = (value, digits = 2) => Number(value.toFixed(digits));

/**
 * Prints a result, a row an object: as a table, or with `json` as one line of it. `notes` are what a reader must know to
 * understand the figures, `skipped` what was not measured and why.
 */
export function report({ title, rows, notes = [], skipped = [], json = false }) {
  if (json) {
    process.stdout.write(`${JSON.stringify({ title, notes, skipped, rows })}\n`);
    return;
  }
  process.stdout.write(`${title}\n`);
  process.stdout.write(`${table(rows)}\n`);
  for (const note of notes) process.stdout.write(`${note}\n`);
  for (const what of skipped) process.stdout.write(`skipped: ${what}\n`);
}

/** A table in Markdown, so that it can be kept as it is printed. */
function table(rows) {
  const names = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  const text = (value) => (typeof value === "number" ? value.toLocaleString("en-US") : String(value ?? "–"));
  const cells = [names, ...rows.map((row) => names.map((name) => text(row[name])))];
  const widths = names.map((_, column) => Math.max(...cells.map((row) => row[column].length)));
  const right = names.map((name) => rows.some((row) => typeof row[name] === "number"));
  const line = (row) =>
    `| ${row.map((cell, at) => (right[at] ? cell.padStart(widths[at]) : cell.padEnd(widths[at]))).join(" | ")} |`;
  const rule = `|${widths.map((width, at) => (right[at] ? `${"-".repeat(width + 1)}:` : "-".repeat(width + 2))).join("|")}|`;
  return [line(cells[0]), rule, ...cells.slice(1).map(line)].join("\n");
}
