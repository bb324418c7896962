import { envName, type Option, type Options } from "./option.js";
import { units } from "./values.js";

/** What a command says about itself. */
export interface Manual {
  readonly usage: readonly string[];
  /** One line, for the list of commands. */
  readonly about: string;
  /** What the list has no room for. */
  readonly details: string;
  readonly options: Options;
}

const columns = 80;

/** The help of a command, for a terminal of 80 columns or a pipe. */
export function helpText({ usage, details, options }: Manual): string {
  const lines = ["Usage:", ...usage.map((line) => `  ${line}`), "", ...wrap(details, 0), "", "Options:"];
  for (const [name, option] of Object.entries(options)) {
    const value = option.value === undefined ? "" : ` ${option.value}`;
    lines.push(`  --${name}${value}`, ...wrap([option.help, ...notesOf(option)].join(" "), 6));
  }
  lines.push("  --help", "      Shows this.", "");
  const used = new Set(Object.values(options).map(({ value }) => value));
  for (const [value, meaning] of Object.entries(units)) {
    if (used.has(value)) lines.push(...wrap(`${value} is ${meaning}.`, 0));
  }
  const [example = ""] = Object.keys(options);
  lines.push(
    ...wrap(
      `Each option is also an environment variable (${envName(example)} for --${example}) and a key of the JSON file that --config names ("${example}"). A flag wins over the variable, and that over the file.`,
      0,
    ),
  );
  return `${lines.join("\n")}\n`;
}

/** The default of an option as the help and the documentation say it. */
export function defaultOf({ default: fallback, value }: Option<unknown>): string {
  return fallback ?? (value === undefined ? "off" : "none");
}

/** How an option is given several times, where it may be. */
export function repetitionOf({ many, secret }: Option<unknown>): string[] {
  if (!many) return [];
  return [`May be given several times; a list in the file; ${secret ? "one only" : "commas"} in the variable.`];
}

function notesOf(option: Option<unknown>): string[] {
  const { off } = option;
  return [
    ...repetitionOf(option),
    `Default: ${defaultOf(option)}.`,
    ...(off === undefined || off === option.default ? [] : [`Turned off by: ${off}.`]),
  ];
}

/** Breaks a text into lines of at most 80 columns, each behind `indent` blanks. */
function wrap(text: string, indent: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && indent + line.length + 1 + word.length > columns) {
      lines.push(" ".repeat(indent) + line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, " ".repeat(indent) + line];
}
