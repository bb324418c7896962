import { UsageError } from "./option.js";
import { printable } from "./output.js";

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

/** What a request that got no answer failed of. */
export function unreachable({ url }: Target, error: unknown): Error {
  const { cause, message } = error as { cause?: { code?: string; message?: string }; message: string };
  const reason = `${url} cannot be reached: ${cause?.code ?? cause?.message ?? message}`;
  // Trying again makes no certificate right.
  return /CERT|VERIFY|_SSL_/.test(cause?.code ?? "") ? new UsageError(reason) : new Error(reason);
}
