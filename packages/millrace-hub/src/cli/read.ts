import fs from "node:fs";
import { parseArgs } from "node:util";
import { envName, isSecret, type Option, type Options, parseValue, UsageError, type Values } from "./option.js";
import { parseText } from "./values.js";

/** The option that names the file, for the table of each command. */
export const configOption = {
  value: "FILE",
  default: undefined,
  parse: parseText,
  help: "A JSON file with options.",
} as const satisfies Option<string>;

export interface Source {
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** How many positional arguments are allowed. */
  readonly positionals: number;
}

/** The texts given for each option. */
type Given = Readonly<Record<string, readonly string[] | undefined>>;

/**
 * Reads the options of a command. A flag wins over an environment variable, that over the file of `--config`, that
 * over the default. A flag that is given again wins over itself. An empty variable counts as none.
 * @throws UsageError that names what is wrong and what is known
 */
export function readOptions<O extends Options>(
  options: O,
  { args, env, positionals: most }: Source,
): { values: Values<O>; positionals: string[] } {
  const { flags, positionals } = readFlags(options, args, most);
  const variables = readVariables(options, env);
  const config = (flags.config ?? variables.config)?.at(-1);
  const file = config === undefined ? {} : readFile(options, config);
  const values: Record<string, unknown> = {};
  for (const [name, option] of Object.entries(options)) {
    const [where, texts] = flags[name]
      ? [`--${name}`, flags[name]]
      : variables[name]
        ? [envName(name), variables[name]]
        : file[name]
          ? [`${name} in ${config}`, file[name]]
          : ["", option.default === undefined ? [] : [option.default]];
    const parsed = texts.map((text) => parseValue(option, text, where));
    values[name] = option.many ? parsed : (parsed.at(-1) ?? (option.value === undefined ? false : undefined));
  }
  return { values: values as Values<O>, positionals };
}

function readFlags(options: Options, args: readonly string[], most: number): { flags: Given; positionals: string[] } {
  const table = Object.fromEntries(
    Object.entries(options).map(([name, { value }]) => [
      name,
      { type: value === undefined ? "boolean" : "string" } as const,
    ]),
  );
  // Not strict: Node's own messages come in two lines, and know nothing of what our options take.
  const parsed = parseArgs({ args: [...args], options: table, allowPositionals: true, strict: false, tokens: true });
  const flags: Record<string, string[] | undefined> = {};
  for (const token of parsed.tokens) {
    if (token.kind !== "option") continue;
    const { name, rawName, value, inlineValue } = token;
    const option = Object.hasOwn(options, name) ? options[name] : undefined;
    if (!option) {
      const behind = most > 0 ? " (an argument that begins with a dash goes behind --)" : "";
      throw new UsageError(`unknown option ${rawName}: known are ${list(options, "--")}${behind}`);
    }
    if (option.value === undefined) {
      if (value !== undefined) throw new UsageError(`${rawName} takes no value`);
    } else if (value === undefined || (!inlineValue && /^-./.test(value))) {
      const shown = isSecret(option, value ?? "") ? option.value : value;
      const dash = value === undefined ? "" : ` (one that begins with a dash: ${rawName}=${shown})`;
      throw new UsageError(`${rawName} needs a value: ${rawName} ${option.value}${dash}`);
    }
    flags[name] = [...(flags[name] ?? []), value ?? "true"];
  }
  const unexpected = parsed.positionals[most];
  if (unexpected !== undefined) throw new UsageError(`unexpected argument ${JSON.stringify(unexpected)}`);
  return { flags, positionals: parsed.positionals };
}

function readVariables(options: Options, env: Source["env"]): Given {
  const variables: Record<string, string[]> = {};
  for (const [name, { many, secret }] of Object.entries(options)) {
    const text = env[envName(name)] ?? "";
    // Not a secret: cut at a comma of its own it would be several, each easier to guess.
    const texts = many && !secret ? text.split(",").map((part) => part.trim()) : [text];
    const given = texts.filter((part) => part !== "");
    if (given.length > 0) variables[name] = given;
  }
  return variables;
}

function readFile(options: Options, path: string): Given {
  const content = parseFile(path);
  if (typeof content !== "object" || content === null || Array.isArray(content)) {
    throw new UsageError(`the configuration file ${path} must hold a JSON object such as {"port": 4000}`);
  }
  const { config: _, ...keys } = options;
  const values: Record<string, string[]> = {};
  for (const [name, value] of Object.entries(content)) {
    const option = Object.hasOwn(keys, name) ? keys[name] : undefined;
    if (!option) throw new UsageError(`unknown key ${JSON.stringify(name)} in ${path}: known are ${list(keys, "")}`);
    const items: unknown[] = Array.isArray(value) ? value : [value];
    if (items.length !== 1 && !option.many) throw new UsageError(`${name} in ${path} takes one value`);
    if (!items.every((item) => ["string", "number", "boolean"].includes(typeof item))) {
      throw new UsageError(`${name} in ${path} must be a string, a number or a boolean`);
    }
    values[name] = items.map(String);
  }
  return values;
}

function parseFile(path: string): unknown {
  let text: string;
  try {
    text = fs.readFileSync(path, "utf8");
  } catch (error) {
    throw new UsageError(`the configuration file ${path} cannot be read: ${(error as Error).message}`);
  }
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new UsageError(`the configuration file ${path} is not JSON${placeOf(error as Error, text)}`);
  }
}

/** Where the text is wrong, if the error says so. Its message is not shown: it may quote the text, and keys with it. */
function placeOf({ message }: Error, text: string): string {
  const position = /^[^"]* in JSON at position (\d+)/.exec(message)?.[1];
  if (position === undefined) return "";
  const lines = text.slice(0, Number(position)).split("\n");
  return `: line ${lines.length}, column ${(lines.at(-1) ?? "").length + 1}`;
}

const list = (options: Options, prefix: string): string =>
  Object.keys(options)
    .map((name) => prefix + name)
    .join(", ");
