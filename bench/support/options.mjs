import fs from "node:fs";
import path from "node:path";
import { parseArgs } from "node:util";

const packages = path.join(import.meta.dirname, "../../packages");
const builds = ["millrace/dist/index.js", "millrace-hub/dist/cli/commands.js"];

/**
 * The options of a benchmark, by a table of `{ default, help, least, fraction, parse }`. The default's type is the value's:
 * a number of at least `least` (1), whole but with `fraction`; a text; or false for a switch. Without one it is a text that
 * may be left out. `parse` makes something else of a text, and throws an Error that says what would be right. `--json` is
 * known to all, and `--help` prints the head of the benchmark's file and this table. What is wrong ends the run with one
 * line. `built`: whether the benchmark needs the packages.
 */
export function options(table, { built = true } = {}) {
  const all = { ...table, json: { default: false, help: "print one line of JSON" } };
  const values = {};
  try {
    const given = read(all);
    if (given.help) {
      process.stdout.write(helpOf(all));
      process.exit();
    }
    for (const [name, option] of Object.entries(all)) values[name] = typed(name, option, given[name]);
  } catch (error) {
    wrong(error.message);
  }
  if (built && !builds.every((file) => fs.existsSync(path.join(packages, file)))) wrong("not built: npm run build");
  return values;
}

/** Ends the run with one line that says what is wrong. */
export function wrong(text) {
  process.stderr.write(`${text}\n`);
  process.exit(2);
}

/** Of `names` those that a text such as `hub,sockets` begins, or else is part of; all without one. Ends at an unknown one. */
export function only(text, names, more = "") {
  if (text === undefined) return names;
  const of = (part) => {
    const has = (how) => (name) => part !== "" && name.toLowerCase()[how](part);
    const begun = names.filter(has("startsWith"));
    const found = begun.length > 0 ? begun : names.filter(has("includes"));
    if (found.length === 0) wrong(`--only: there is no "${part}"; there are ${names.join(" | ")}${more}`);
    return found;
  };
  const chosen = new Set(text.split(",").flatMap((part) => of(part.trim().toLowerCase())));
  return names.filter((name) => chosen.has(name));
}

/** Reads `20,0.2`: numbers of more than 0, or from 0 on. */
export const numbers =
  ({ zero = false } = {}) =>
  (text) =>
    text.split(",").map((part) => {
      const number = /^\d+(\.\d+)?$/.test(part) ? Number(part) : Number.NaN;
      if (number > 0 || (zero && number === 0)) return number;
      throw new Error(`numbers ${zero ? "from 0 on" : "of more than 0"}, with commas between`);
    });

const isSwitch = (option) => typeof option.default === "boolean";

function read(table) {
  const known = Object.entries(table).map(([name, option]) => [
    name,
    { type: isSwitch(option) ? "boolean" : "string" },
  ]);
  try {
    return parseArgs({ options: Object.fromEntries([...known, ["help", { type: "boolean" }]]) }).values;
  } catch (error) {
    // Node's messages have several lines, and advice for another kind of command.
    const [first] = error.message.split(/\n|\. /);
    throw new Error(
      `${first}: known are ${Object.keys(table)
        .map((name) => `--${name}`)
        .join(", ")}, --help`,
    );
  }
}

function typed(name, { default: fallback, least = 1, fraction = false, parse }, given) {
  if (parse && (given ?? fallback) !== undefined) {
    try {
      return parse(given ?? fallback);
    } catch (error) {
      throw new Error(`--${name} is "${given}": it should be ${error.message}`);
    }
  }
  if (given === undefined || typeof fallback !== "number") return given ?? fallback;
  const form = fraction ? /^\d{1,9}(\.\d{1,3})?$/ : /^\d{1,9}$/;
  if (form.test(given) && Number(given) >= least) return Number(given);
  throw new Error(
    `--${name} is "${given}": it should be a ${fraction ? "" : "whole "}number of at least ${least.toLocaleString("en-US")}`,
  );
}

function helpOf(table) {
  const lines = Object.entries(table).map(([name, option]) => {
    const value = isSwitch(option) ? "" : typeof option.default === "number" ? " N" : " TEXT";
    const fallback = isSwitch(option) ? "" : ` (default: ${option.default ?? "all"})`;
    return [`--${name}${value}`, `${option.help}${fallback}`];
  });
  lines.push(["--help", "show this"]);
  const width = Math.max(...lines.map(([flag]) => flag.length));
  const shown = lines.map(([flag, help]) => `  ${flag.padEnd(width)}  ${help}\n`);
  return `${headOf(process.argv[1])}\nOptions:\n${shown.join("")}`;
}

/** The comment that a file begins with. */
function headOf(file) {
  const lines = fs.readFileSync(file, "utf8").split("\n");
  const end = lines.findIndex((line) => !line.startsWith("//"));
  return lines
    .slice(0, end)
    .map((line) => `${line.replace(/^\/\/ ?/, "")}\n`)
    .join("");
}
