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
  if (rows.length === 0) process.exitCode = 1;
  if (json) {
    process.stdout.write(`${JSON.stringify({ title, notes, skipped, rows })}\n`);
    return;
  }
  process.stdout.write(`${title}\n`);
  process.stdout.write(rows.length > 0 ? `${table(rows)}\n` : "nothing was measured\n");
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
