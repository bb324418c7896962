import { afterEach, expect, test, vi } from "vitest";
import { createHub, MillraceError } from "../../src/index.js";
import { until } from "./support/index.js";

afterEach(() => vi.restoreAllMocks());

const callFeed = (hub: ReturnType<typeof createHub>) => hub.stream(() => "news")(new Request("http://x/feed"));

test.each<[string, (error: unknown) => void]>([
  [
    "throws",
    () => {
      throw new Error("second");
    },
  ],
  ["rejects", async () => Promise.reject(new Error("second"))],
])("an onError that %s ends nothing, and is told on the console", async (_how, onError) => {
  const told = vi.spyOn(console, "error").mockImplementation(() => {});
  const hub = createHub({
    onConnection: () => {
      throw new Error("first");
    },
    onError,
  });
  const answer = (await callFeed(hub)) as Response;
  expect(answer.status).toBe(200);
  await until("it is told", () => told.mock.calls.length === 1);
  expect(told.mock.calls[0]).toEqual([expect.objectContaining({ message: "second" })]);
  await answer.body?.cancel();
  await hub.close({ drainMs: 0 });
});

test.each([undefined, "news", {}])("stream is given a function, not %j", async (select) => {
  const hub = createHub();
  expect(() => hub.stream(select as never)).toThrow(MillraceError);
  expect(() => hub.stream(select as never)).toThrow(/stream.*function/);
  await hub.close();
});
