/** One option of a command: as a flag, as an environment variable, and as a key of the configuration file. */
export interface Option<T> {
  /** What stands for the value in the help; undefined: the option is a switch. */
  readonly value: string | undefined;
  /** One or two sentences: what it does, its unit. */
  readonly help: string;
  /** The default as a person would write it; undefined: none. */
  readonly default: string | undefined;
  /** The value that turns it off, where there is one. */
  readonly off?: string;
  /** May be given several times. */
  readonly many?: boolean;
  /** Its value is never repeated in a message; a pattern: a value that fits it is not. */
  readonly secret?: boolean | RegExp;
  /** Throws an Error whose message says what would be right. */
  readonly parse: (text: string) => T;
}

type Many<T> = Omit<Option<T>, "many"> & { readonly many: true };
type AnyOption = Option<unknown> | Many<unknown>;
export type Options = Readonly<Record<string, AnyOption>>;

/** The values of a table of options: those without a default may be undefined. */
export type Values<O extends Options> = {
  readonly [K in keyof O]: O[K] extends { many: true; parse: (text: string) => infer T }
    ? readonly T[]
    : O[K] extends { default: string; parse: (text: string) => infer T }
      ? T
      : O[K] extends { value: undefined }
        ? boolean
        : O[K] extends { parse: (text: string) => infer T }
          ? T | undefined
          : never;
};

/** An error in how a command was called. It is printed as one line. */
export class UsageError extends Error {}

export const envName = (flag: string): string => `MILLRACE_${flag.toUpperCase().replaceAll("-", "_")}`;

export const isSecret = ({ secret }: AnyOption, text: string): boolean =>
  secret instanceof RegExp ? secret.test(text) : secret === true;

/** Checks the value of an option, wherever it comes from. */
export function parseValue(option: AnyOption, text: string, where: string): unknown {
  try {
    return option.parse(text);
  } catch (error) {
    const given = isSecret(option, text) ? "not valid" : JSON.stringify(text);
    throw new UsageError(`${where} is ${given}: it should be ${(error as Error).message}`);
  }
}
