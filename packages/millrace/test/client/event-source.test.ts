import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { EventSource } from "../../src/client/index.js";
import { type FaultServer, startFaultServer } from "../../src/testing/index.js";
import { cases } from "./event-source-cases.js";
import { observe, type SourceClass } from "./support/observe.js";
import { runCase } from "./support/run-case.js";

let server: FaultServer;
beforeAll(async () => {
  server = await startFaultServer();
});
afterAll(() => server?.[Symbol.asyncDispose]());

/** Node's EventTarget reports what a listener throws as an uncaught exception: these are caught until the test ends. */
function catchUncaught(): string[] {
  const thrown: string[] = [];
  const others = process.listeners("uncaughtException");
  const take = (error: Error) => void thrown.push(error.message);
  process.removeAllListeners("uncaughtException");
  process.on("uncaughtException", take);
  onTestFinished(() => {
    process.off("uncaughtException", take);
    for (const listener of others) process.on("uncaughtException", listener);
  });
  return thrown;
}

describe("the table of the standard, in Node", () => {
  test.each(cases)("$name", async (given) => {
    const thrown = given.throws ? catchUncaught() : [];
    const { log, lastEventIds } = await runCase(server, given, given.log, async (url, options) => {
      const { log, source } = observe(EventSource as SourceClass, url, options);
      return { log: async () => log, close: async () => source.close() };
    });
    expect(log).toEqual(given.log);
    if (given.lastEventIds) expect(lastEventIds).toEqual(given.lastEventIds);
    expect(thrown).toEqual(given.throws ?? []);
  });
});
