import { randomUUID } from "node:crypto";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { UsageError } from "./option.js";
import { authorization, refusalOf, type Target, unreachable } from "./request.js";

export interface PublishParts extends Target {
  readonly channel: string;
  /** Undefined: a line of standard input is an event. */
  readonly data: string | undefined;
  readonly event: string | undefined;
  readonly key: string | undefined;
}

/** A batch is sent when it has so many lines or characters, or when no further line is waiting. */
const batchLines = 500;
const batchLength = 256 * 1024;
const tries = 5;

/** `publish`: prints the id of each event, one a line. */
export async function runPublish(parts: PublishParts): Promise<number> {
  const { channel, event, key } = parts;
  const line = (data: string) => JSON.stringify({ channel, event, key, data });
  if (parts.data !== undefined) {
    await send(parts, [line(parts.data)]);
    return 0;
  }
  let batch: string[] = [];
  let length = 0;
  let sending = Promise.resolve();
  const input = createInterface({ input: process.stdin, crlfDelay: Infinity });
  const flush = () => {
    const lines = batch;
    batch = [];
    length = 0;
    if (lines.length > 0) sending = sending.then(() => send(parts, lines));
    return sending;
  };
  let timer: NodeJS.Immediate | undefined;
  for await (const data of input) {
    length += data.length;
    batch.push(line(data));
    if (batch.length >= batchLines || length >= batchLength) await flush();
    else
      timer ??= setImmediate(() => {
        timer = undefined;
        flush().catch(() => {}); // said at the next await
      });
  }
  await flush();
  return 0;
}

/** Sends lines as one request. What was not answered is sent again with the same key, so that nothing comes twice. */
async function send(target: PublishParts, lines: readonly string[]): Promise<void> {
  const headers = { ...authorization(target), "content-type": "application/x-ndjson", "idempotency-key": randomUUID() };
  for (let attempt = 1; ; attempt++) {
    let response: Response | undefined;
    try {
      response = await fetch(`${target.url}/publish`, { method: "POST", headers, body: lines.join("\n") });
    } catch (error) {
      if (attempt === tries) throw unreachable(target, error);
    }
    if (response?.ok) {
      const { ids } = (await response.json()) as { ids: string[] };
      process.stdout.write(`${ids.join("\n")}\n`);
      return;
    }
    const again = response === undefined || [429, 503, 507].includes(response.status);
    if (response && (!again || attempt === tries)) throw new UsageError(await refusalOf(response));
    await response?.body?.cancel();
    await sleep(Number(response?.headers.get("retry-after") ?? 0) * 1000 || 200 * 2 ** attempt);
  }
}
