import { randomUUID } from "node:crypto";
import type { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { UsageError } from "./option.js";
import { endWithReader, printLine, say } from "./output.js";
import { authorization, refusalOf, type Target, unreachable } from "./request.js";

export interface PublishParts extends Target {
  readonly channel: string;
  /** Undefined: a line of standard input is an event. */
  readonly data: string | undefined;
  readonly event: string | undefined;
  readonly key: string | undefined;
}

/** Most of what goes into one request. */
const batchLines = 500;
const batchLength = 256 * 1024;
const tries = 5;
const againAfter = [429, 502, 503, 504, 507];

/** `publish`: prints the id of each event, one a line. */
export async function runPublish(parts: PublishParts): Promise<number> {
  endWithReader();
  const { channel, event, key, data } = parts;
  const eventOf = (text: string) => JSON.stringify({ channel, event, key, data: text });
  if (data !== undefined) {
    await send(parts, [eventOf(data)]);
    return 0;
  }
  if (process.stdin.isTTY) say(`each line is an event on ${channel}; Ctrl-D ends`);
  for await (const lines of readBatches(process.stdin)) await send(parts, lines.map(eventOf));
  return 0;
}

/**
 * The lines that have come by the time they are asked for: what is typed goes out at once, and what comes while a
 * batch is under way makes up the next. LF ends a line, and CR LF; readline would also break them at U+2028.
 */
async function* readBatches(input: Readable): AsyncGenerator<string[]> {
  const lines: string[] = [];
  let rest = "";
  let ended = false;
  let failure: Error | undefined;
  let wake = () => {};
  input.setEncoding("utf8");
  const take = (text: string) => {
    const last = text.lastIndexOf("\n");
    if (last < 0) {
      rest += text; // not split again and again while a long line comes in pieces
      return;
    }
    for (const line of (rest + text.slice(0, last)).split("\n")) lines.push(line.replace(/\r$/, ""));
    rest = text.slice(last + 1);
    if (lines.length >= batchLines) input.pause();
    wake();
  };
  const end = (error?: Error) => {
    failure = error;
    if (rest !== "") lines.push(rest);
    ended = true;
    wake();
  };
  input.on("data", take).once("end", end).once("error", end);
  try {
    while (true) {
      if (lines.length === 0) {
        if (failure) throw new UsageError(`standard input cannot be read: ${failure.message}`);
        if (ended) return;
        input.resume();
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      } else yield lines.splice(0, countOf(lines));
    }
  } finally {
    input.off("data", take).pause(); // else an open standard input would keep the process
  }
}

/** How many lines one request takes: at least one. */
function countOf(lines: readonly string[]): number {
  let length = 0;
  let count = 0;
  for (const line of lines) {
    length += line.length;
    if (count > 0 && (count === batchLines || length > batchLength)) break;
    count++;
  }
  return count;
}

/** Sends events as one request. What got no whole answer is sent again with the same key, so that nothing comes twice. */
async function send(target: Target, events: readonly string[]): Promise<void> {
  const headers = { ...authorization(target), "content-type": "application/x-ndjson", "idempotency-key": randomUUID() };
  for (let attempt = 1; ; attempt++) {
    let response: Response | undefined;
    let accepted: string | undefined;
    try {
      response = await fetch(`${target.url}/publish`, { method: "POST", headers, body: events.join("\n") });
      if (response.ok) accepted = await response.text();
    } catch (error) {
      response = undefined; // an answer that broke off says no more than one that never came
      const problem = unreachable(target, error);
      if (problem instanceof UsageError) throw problem;
      if (attempt === tries) throw new UsageError(problem.message);
      if (attempt === 1) say(`${problem.message}; trying again`);
    }
    if (response && accepted !== undefined) {
      for (const id of idsOf(response.url, accepted)) printLine(id);
      return;
    }
    if (response?.status === 413 && events.length > 1) {
      // This hub takes less at a time.
      await response.body?.cancel();
      const half = Math.ceil(events.length / 2);
      await send(target, events.slice(0, half));
      return send(target, events.slice(half));
    }
    const again = response === undefined || againAfter.includes(response.status);
    if (response && (!again || attempt === tries)) throw new UsageError(await refusalOf(response));
    await response?.body?.cancel();
    await sleep(Number(response?.headers.get("retry-after") ?? 0) * 1000 || 200 * 2 ** attempt);
  }
}

function idsOf(url: string, body: string): readonly string[] {
  try {
    const { ids } = JSON.parse(body) as { ids?: unknown };
    if (Array.isArray(ids)) return ids.map(String);
  } catch {
    // not a hub's answer either
  }
  throw new UsageError(`${url} answers, but not as a hub does`);
}
