import type { FetchLikeResponse } from "./web-types.js";

const mostCharacters = 500;

/** What a refusal says of itself as `detail` (RFC 9457); undefined when it says nothing that can be read. */
export async function detailOf({ headers, body }: FetchLikeResponse): Promise<string | undefined> {
  const reader = body?.getReader?.();
  try {
    if (!reader || !/problem\+json/i.test(headers.get("content-type") ?? "")) return undefined;
    const decoder = new TextDecoder();
    let text = "";
    for (let chunks = 0; chunks < 8; chunks++) {
      const { done, value } = await reader.read();
      if (done) break;
      text += decoder.decode(value as Uint8Array, { stream: true });
    }
    const { detail } = JSON.parse(text) as { detail?: unknown };
    return typeof detail === "string" ? detail.slice(0, mostCharacters) : undefined;
  } catch {
    return undefined;
  } finally {
    // A connection that nobody reads would stay open.
    reader?.cancel().catch(() => {});
  }
}

/** `Retry-After` in milliseconds (RFC 9110, section 10.2.3): seconds, or a date. 0 when there is none. */
export function retryAfterMs({ headers }: FetchLikeResponse): number {
  const value = headers.get("retry-after") ?? "";
  const ms = Number(value) >= 0 ? Number(value) * 1000 : Date.parse(value) - Date.now();
  return ms > 0 ? ms : 0;
}
