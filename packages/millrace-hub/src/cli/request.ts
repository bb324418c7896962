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

/** @throws UsageError for a request that could never be sent, such as one with a cursor that no header can carry */
export function requestOf(address: string, init: RequestInit): Request {
  try {
    return new Request(address, init);
  } catch (error) {
    throw new UsageError(`this request cannot be sent: ${printable((error as Error).message)}`);
  }
}

/** What a request that got no answer failed of: a UsageError where trying again would not help. */
export function unreachable({ url }: Target, error: unknown): Error {
  const { cause, message } = error as { cause?: { code?: string; message?: string }; message: string };
  const reason = `${url} cannot be reached: ${cause?.code ?? cause?.message ?? message}`;
  // Trying again makes no certificate right, and no port one that fetch takes (Fetch standard, "bad port").
  const final = /CERT|VERIFY|_SSL_/.test(cause?.code ?? "") || cause?.message === "bad port";
  return final ? new UsageError(reason) : new Error(reason);
}
