import { setTimeout as pause } from "node:timers/promises";
import type { Logger } from "../serve/logger.js";
import { type Running, type ServeValues, startHub } from "../serve/serve.js";
import { type Sources, startSources } from "./index.js";

/** A hub that runs until it is stopped. */
export interface Service {
  readonly url: string;
  readonly log: Logger;
  clients(): number;
  stop(): Promise<void>;
  /** Rejects when it cannot go on. */
  readonly failed: Promise<never>;
}

/** So long the page's request to restart has to be answered before its connection is cut. */
const answerMs = 100;
/** So long the hub is away. */
const awayMs = 2000;
/** Starting again is tried so often, for so long: another program may have taken the port. */
const tryAgainMs = 250;
const giveUpMs = 6000;

/**
 * The demo's hub. When a visitor asks for it, it stops as if it had crashed, and starts again on the same port and store:
 *
 *     running ──restart()──▶ cut: streams, port and store closed ──awayMs──▶ starting ──▶ running
 *                                                                              │  ▲ tryAgainMs
 *                                                                              └──┴──giveUpMs──▶ failed
 *
 * @throws UsageError as `startHub`
 */
export async function startDemo(values: ServeValues): Promise<Service> {
  const stopping = new AbortController();
  let current: { readonly running: Running; readonly sources: Sources } | undefined;
  let restarting: Promise<void> | undefined;
  let fail: (error: unknown) => void;
  const failed = new Promise<never>((_, reject) => {
    fail = reject;
  });

  async function start(on: ServeValues): Promise<Running> {
    const running = await startHub(on, { onRestart, readDocument: () => current?.sources.document.read() });
    current = { running, sources: startSources(running) };
    return running;
  }

  const { url, log } = await start(values);
  const again: ServeValues = { ...values, port: Number(new URL(url).port || values.port) };

  function onRestart(): void {
    restarting ??= restart()
      .catch((error) => fail(error))
      .finally(() => {
        restarting = undefined;
      });
  }

  async function restart(): Promise<void> {
    await sleep(answerMs);
    if (stopping.signal.aborted || !current) return;
    log.info("restarting, as the demo's page asked: streams are cut");
    const { running, sources } = current;
    current = undefined;
    sources.stop();
    await running.crash();
    await sleep(awayMs);
    const untilMs = performance.now() + giveUpMs;
    while (!stopping.signal.aborted) {
      try {
        await start(again);
        log.info(`listens on ${url} again`);
        return;
      } catch (error) {
        if (performance.now() > untilMs) throw error;
      }
      await sleep(tryAgainMs);
    }
  }

  /** Ends at once when all is to be stopped. */
  const sleep = (ms: number) => pause(ms, undefined, { signal: stopping.signal }).catch(() => {});

  return {
    url,
    log,
    failed,
    clients: () => current?.running.hub.stats().connections ?? 0,
    async stop() {
      stopping.abort();
      await restarting;
      current?.sources.stop();
      await current?.running.stop();
    },
  };
}
