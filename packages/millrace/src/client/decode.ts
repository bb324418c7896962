import { invalidOption, type StreamEvent } from "../protocol/index.js";
import { ConnectionError } from "./connection-error.js";

/** What `data` becomes: the JSON that it is, the text as it came, or what a function makes of it. */
export type Parse =
  | "json"
  | "text"
  | ((text: string, event: { readonly type: string; readonly channel: string | undefined }) => unknown);

/** @throws MillraceError `invalid_option` for a text that names no way to parse */
export function checkParse(parse: unknown): void {
  if (typeof parse !== "string" || parse === "json" || parse === "text") return;
  throw invalidOption("parse", parse, 'it is "json", "text", or a function');
}

/** A validator of the Standard Schema specification, version 1: of Zod, Valibot, ArkType and others. */
export interface StandardSchema<Output = unknown> {
  readonly "~standard": {
    readonly version: 1;
    readonly vendor: string;
    validate(value: unknown): SchemaResult<Output> | Promise<SchemaResult<Output>>;
    readonly types?: { readonly input: unknown; readonly output: Output } | undefined;
  };
}

type SchemaResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | {
      readonly issues: ReadonlyArray<{ readonly message: string; readonly path?: ReadonlyArray<unknown> | undefined }>;
    };

/**
 * What a handler gets as `data`.
 * @throws ConnectionError `invalid_data` when it is not what it should be
 */
export function decode(
  { type, data, channel }: StreamEvent,
  parse: Parse,
  schema: StandardSchema | undefined,
): unknown {
  const value = parsed(type, data, channel, parse);
  if (!schema) return value;
  const result = schema["~standard"].validate(value);
  return result instanceof Promise ? result.then((settled) => checked(type, settled)) : checked(type, result);
}

function parsed(type: string, text: string, channel: string | undefined, parse: Parse): unknown {
  if (parse === "text") return text;
  try {
    return parse === "json" ? JSON.parse(text) : parse(text, { type, channel });
  } catch (cause) {
    const hint = parse === "json" ? ': text that is not JSON needs parse: "text"' : "";
    throw invalid(type, `${cause instanceof Error ? cause.message : String(cause)}${hint}`, cause);
  }
}

function checked(type: string, result: SchemaResult<unknown>): unknown {
  if (!result.issues) return result.value;
  const what = result.issues.map(({ message, path }) =>
    path?.length ? `${path.map(segment).join(".")}: ${message}` : message,
  );
  throw invalid(type, what.join("; "));
}

const segment = (part: unknown): string =>
  String(typeof part === "object" && part !== null && "key" in part ? part.key : part);

const invalid = (type: string, why: string, cause?: unknown): ConnectionError =>
  new ConnectionError("invalid_data", `the data of ${JSON.stringify(type)} is not as expected: ${why}`, {
    cause,
  });
