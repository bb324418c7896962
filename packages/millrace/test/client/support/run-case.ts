import type { FaultServer } from "../../../src/testing/index.js";
import { until } from "../../http/support/until.js";
import type { Case } from "../event-source-cases.js";
import type { observe } from "./observe.js";

/** A stream that is being observed, here or in a page. */
interface Running {
  log(): Promise<string[]>;
  close(): Promise<void>;
}

type Start = (url: string, options: Parameters<typeof observe>[2]) => Promise<Running>;

/** So long nothing more may come once everything has. */
const quietMs = 50;
let streams = 0;

/** Runs a case until as much has been seen as `log` says, and a little longer. */
export async function runCase(
  server: FaultServer,
  { answers, types = [], silent = false, withCredentials = false, script }: Case,
  log: readonly string[],
  start: Start,
): Promise<{ log: string[]; lastEventIds: (string | undefined)[] }> {
  const path = `/stream/${++streams}`;
  const requests = server.script(path, answers);
  const running = await start(`${server.origin}${path}`, {
    types: silent ? [] : [...new Set(["open", "message", "error", ...types])],
    withCredentials,
    script,
  });
  const endMs = performance.now() + 5000;
  while ((await running.log()).length < log.length && performance.now() < endMs) await sleep(5);
  await sleep(quietMs);
  await running.close();
  const closed = () => requests.every((request) => request.closed);
  await until("the connections to close", closed);
  return { log: await running.log(), lastEventIds: requests.map(({ headers }) => headers["last-event-id"] as string) };
}

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
