/** The parts of `acrossTabs` that need no browser. What it does in one: e2e/client/tabs.test.ts. */
import { expect, onTestFinished, test } from "vitest";
import { acrossTabs, type ConnectOptions, connect } from "../../src/client/index.js";
import { createInbox } from "../../src/client/tabs/inbox.js";
import { createView, isEntry } from "../../src/client/tabs/view.js";
import { createFakeHub } from "../../src/testing/index.js";
import { until } from "../hub/until.js";

const event = (channel: string | undefined, type = "message", data = "1") => ({
  ...{ type, data, lastEventId: "e-1", channel },
});

test("a tab is shown what its channels and its user are sent; of the rest only the cursor", () => {
  let channels: readonly string[] = ["a", "b/*"];
  const view = createView(() => channels);
  const isShown = (channel: string | undefined) => isEntry(view(event(channel)));
  expect(["a", "b/1", "b/1/2", "@user/ann", "@all", undefined].map(isShown)).toEqual(Array(6).fill(true));
  expect(["c", "b", "a/1"].map(isShown)).toEqual([false, false, false]);
  expect(view(event("c"))).toEqual({ type: "", data: "", lastEventId: "e-1", channel: undefined });
  channels = ["c"];
  expect(["a", "c"].map(isShown)).toEqual([false, true]);
  // Where the application chooses the channels, all tabs have the same.
  channels = [];
  expect(["a", "c"].map(isShown)).toEqual([true, true]);
});

test("a tab that has dropped all its channels is shown what its user is sent, and nothing else", () => {
  const view = createView(
    () => [],
    () => true,
  );
  expect(["a", "general", "@user/ann"].map((channel) => isEntry(view(event(channel))))).toEqual([false, false, true]);
});

test("a gap is a tab's own where it concerns one of its channels, or where that cannot be said", () => {
  const view = createView(() => ["a", "b/*"]);
  const gap = (...channels: string[]) =>
    view(event(undefined, "millrace.gap", JSON.stringify({ reason: "dropped", may: false, channels })));
  expect(JSON.parse(gap("c", "b/1", "a").data)).toEqual({ reason: "dropped", may: false, channels: ["b/1", "a"] });
  expect(JSON.parse(gap().data).channels).toEqual([]);
  expect(gap("c").type).toBe("");
});

test("an inbox that is full gives nothing any more, and what can be one is one", async () => {
  const inbox = createInbox<string>(3, (last, next) => (last === "" && next === "" ? next : undefined));
  const first = inbox.next();
  inbox.put("a");
  expect(await first).toBe("a");
  for (const item of ["", "", "b", "c"]) inbox.put(item);
  expect([await inbox.next(), await inbox.next()]).toEqual(["", "b"]);
  for (const item of ["d", "e", "f"]) inbox.put(item);
  expect(await inbox.next()).toBeUndefined();
  inbox.put("g");
  expect(await inbox.next()).toBeUndefined();
});

test.skipIf("locks" in ((globalThis as { navigator?: object }).navigator ?? {}))(
  "without locks a connection is one's own",
  async () => {
    const fake = createFakeHub();
    onTestFinished(() => fake.close());
    const stream = connect("http://hub.test/events?channel=a", { fetch: fake.fetch, share: acrossTabs() });
    onTestFinished(() => stream.close());
    const datas: unknown[] = [];
    stream.on("*", ({ data }) => void datas.push(data));
    await until(() => stream.state === "open" && stream.lastEventId !== "");
    await fake.publish({ channel: "a", data: 1 });
    await until(() => datas.length === 1);
    expect(stream.status.tabs).toBeUndefined();
  },
);

test("what cannot be shared is said at once", () => {
  const share = (options: ConnectOptions) => () => connect("http://x/events", { ...options, share: acrossTabs() });
  expect(share({ body: "{}" })).toThrow("asked for by its URL alone");
  expect(share({ method: "REPORT" })).toThrow("asked for by its URL alone");
  expect(() => acrossTabs({ nam: "ann" } as never)).toThrow('no option "nam"');
});
