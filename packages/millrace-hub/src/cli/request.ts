import { UsageError } from "./option.js";
import { printable } from "./output.js";
import { configOption } from "./read.js";
import { parseKey } from "./values.js";

/** What every command that talks to a hub can be told, beside its address. */
export const clientOptions = {
  "api-key": {
    value: "KEY",
    default: undefined,
    secret: true,
    parse: parseKey,
    help: "The hub's API key, where it has one. Better given by environment or file: other users of a machine see flags.",
  },
  config: configOption,
} as const;

/** What the commands that talk to a hub share. */
export interface Target {
  readonly url: string;
  readonly apiKey: string | undefined;
}

export const authorization = ({ apiKey }: Target): Record<string, string> =>
  apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` };

/** Why a hub refused, as one line. */
export async function refusalOf(response: Response): Promise<string> {
  const text = await response.text().catch(() => "");
  try {
    const { detail } = JSON.parse(text) as { detail?: unknown };
    if (typeof detail === "string") return printable(detail);
  } catch {
    // not a problem document: another server answers there
  }
  return `${response.url} answered ${response.status} ${printable(response.statusText)}`;
}

/** @throws UsageError for a request that could never be sent, such as one with a cursor that no header can carry */
export function requestOf(address: string, headers: Readonly<Record<string, string>>): Request {
  try {
    return new Request(address, { headers });
  } catch (error) {
    throw unsendable(error as Error);
  }
}

const unsendable = ({ message }: { message: string }) =>
  new UsageError(`this request cannot be sent: ${printable(message)}`);

/** What a request that got no answer failed of: a UsageError where trying again would not help. */
export function unreachable({ url }: Target, error: unknown): Error {
  const { cause, message } = error as { cause?: { code?: string; message: string }; message: string };
  // Some is only seen when it is sent: a control character in a header, a port of the Fetch standard's "bad ports".
  if (cause?.code === "UND_ERR_INVALID_ARG" || cause?.message === "bad port") return unsendable(cause);
  const reason = `${url} cannot be reached: ${cause?.code ?? cause?.message ?? message}`;
  // Trying again makes no certificate right.
  return /CERT|VERIFY|_SSL_/.test(cause?.code ?? "") ? new UsageError(reason) : new Error(reason);
}
