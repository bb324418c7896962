import fs from "node:fs";
import { parseArgs } from "node:util";
import { envName, type Options, parseValue, UsageError, type Values } from "./option.js";

export interface Source {
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Names of positional arguments that are allowed, at most so many. */
  readonly positionals: number;
}

/**
 * Reads the options of a command. A flag wins over an environment variable, that over the file of `--config`, that
 * over the default. Nothing unknown is passed over.
 * @throws UsageError that names what is wrong and what is known
 */
export function readOptions<O extends Options>(
  options: O,
  { args, env, positionals: most }: Source,
): { values: Values<O>; positionals: string[] } {
  const { flags, positionals } = readFlags(options, args);
  if (positionals.length > most) throw new UsageError(`unexpected argument ${JSON.stringify(positionals[most])}`);
  const config = flags.config?.at(-1) ?? env[envName("config")];
  const file = config === undefined ? {} : readFile(options, config);
  const values: Record<string, unknown> = {};
  for (const [name, option] of Object.entries(options)) {
    const variable = env[envName(name)];
    const [where, texts] =
      flags[name] !== undefined
        ? [`--${name}`, flags[name]]
        : variable !== undefined && variable !== ""
          ? [envName(name), option.many ? variable.split(",") : [variable]]
          : file[name] !== undefined
            ? [`${name} in ${config}`, file[name]]
            : ["", option.default === undefined ? [] : [option.default]];
    const parsed = texts.map((text) => parseValue(option, text, where, name === "api-key"));
    values[name] = option.many ? parsed : (parsed.at(-1) ?? (option.value === undefined ? false : undefined));
  }
  return { values: values as Values<O>, positionals };
}

function readFlags(
  options: Options,
  args: readonly string[],
): { flags: Record<string, string[] | undefined>; positionals: string[] } {
  const table = Object.fromEntries(
    Object.entries(options).map(([name, { value }]) => [
      name,
      { type: value === undefined ? "boolean" : "string", multiple: true } as const,
    ]),
  );
  let parsed: ReturnType<typeof parseArgs>;
  try {
    parsed = parseArgs({ args: [...args], options: table, allowPositionals: true, strict: true });
  } catch (error) {
    // Node's message goes on with advice that is not ours to give.
    throw new UsageError(`${(error as Error).message.split(". ")[0]}: --help lists what is known`);
  }
  const flags: Record<string, string[] | undefined> = {};
  for (const [name, given] of Object.entries(parsed.values)) flags[name] = (given as (string | boolean)[]).map(String);
  return { flags, positionals: parsed.positionals };
}

function readFile(options: Options, path: string): Record<string, string[] | undefined> {
  let content: unknown;
  try {
    content = JSON.parse(fs.readFileSync(path, "utf8"));
  } catch (error) {
    throw new UsageError(`the configuration file ${path} cannot be read: ${(error as Error).message}`);
  }
  if (typeof content !== "object" || content === null || Array.isArray(content)) {
    throw new UsageError(`the configuration file ${path} must hold a JSON object such as {"port": 4000}`);
  }
  const values: Record<string, string[] | undefined> = {};
  for (const [name, value] of Object.entries(content)) {
    const option = Object.hasOwn(options, name) && name !== "config" ? options[name] : undefined;
    if (!option)
      throw new UsageError(
        `unknown key ${JSON.stringify(name)} in ${path}: the keys are the names of the flags, without the dashes in front`,
      );
    const list: unknown[] = Array.isArray(value) ? value : [value];
    if (list.length !== 1 && !option.many) throw new UsageError(`${name} in ${path} takes one value`);
    if (!list.every((item) => ["string", "number", "boolean"].includes(typeof item))) {
      throw new UsageError(`${name} in ${path} must be a string, a number or a boolean`);
    }
    values[name] = list.map(String);
  }
  return values;
}
