import { UsageError } from "./option.js";

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
  return `the answer was ${response.status} ${printable(response.statusText)}`;
}

/** What a request that got no answer failed of. */
export function unreachable({ url }: Target, error: unknown): UsageError {
  const cause = (error as { cause?: { code?: string; message?: string } }).cause;
  return new UsageError(`${url} cannot be reached: ${cause?.code ?? cause?.message ?? (error as Error).message}`);
}

/** Text for a terminal: control characters are escaped, so that nobody's data moves the cursor or ends the line. */
export function printable(text: string): string {
  const named: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\t" };
  return text.replace(
    /[\p{Cc}\u2028\u2029]/gu,
    (character) => named[character] ?? `\\u${character.codePointAt(0)?.toString(16).padStart(4, "0")}`,
  );
}
