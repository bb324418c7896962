import { describe, expect, test } from "vitest";
import { createMemoryLog, MillraceError } from "../../src/index.js";
import { forms, json, open, start, until } from "./support/index.js";

describe.each(forms)("long-polling over $name", (form) => {
  test("with neither cursor nor rewind it answers the position at once", async () => {
    await using hub = await start(form);
    await hub.hub.publish({ data: "before" });
    const answer = await hub.call("/events?mode=poll");
    expect(answer.status).toBe(200);
    expect(answer.header("content-type")).toBe("text/event-stream; charset=utf-8");
    expect(answer.header("cache-control")).toContain("no-store");
    expect(answer.header("millrace-position")).toBe(hub.hub.position());
    const body = await answer.text();
    expect(body).toBe(`id: ${hub.hub.position()}\n\n`);
    expect(answer.header("content-length")).toBe(String(Buffer.byteLength(body)));
    expect(hub.hub.stats().opened).toBe(0);
  });

  test("behind the tail it answers with what there is, closed by its cursor", async () => {
    await using hub = await start(form);
    const ids = await hub.hub.publish([{ data: "0" }, { data: "zwölf" }, { channel: "else", data: "no" }]);
    const answer = await hub.call(`/events?mode=poll&lastEventId=${ids[0]}`);
    expect(answer.header("millrace-position")).toBe(ids[2]);
    const body = await answer.text();
    expect(body).toBe(`id: ${ids[1]}\nchannel: general\ndata: zwölf\n\nid: ${ids[2]}\n\n`);
    expect(answer.header("content-length")).toBe(String(Buffer.byteLength(body)));
    expect(hub.hub.stats().connections).toBe(0);
  });

  test("at the tail it waits, and answers with the next entries", async () => {
    await using hub = await start(form);
    const first = await hub.hub.publish({ data: "0" });
    const answering = hub.call(`/events?mode=poll&lastEventId=${first}`);
    await until("it waits", () => hub.hub.stats().connections === 1);
    await hub.hub.publish({ channel: "else", data: "no" });
    const ids = await hub.hub.publish([{ data: "1" }, { data: "2" }]);
    const answer = await answering;
    const events = await answer.events.rest();
    expect(events.map(({ data }) => data)).toEqual(["1", "2"]);
    expect(answer.events.lastEventId).toBe(ids[1]);
    expect(answer.events.retries).toEqual([]);
    expect(hub.hub.stats().connections).toBe(0);
  });

  test.each([
    ["rewind=all", ["0", "1", "2"]],
    ["rewind=2", ["1", "2"]],
  ])("begins with %s", async (query, expected) => {
    await using hub = await start(form);
    await hub.hub.publish(["0", "1", "2"].map((data) => ({ data })));
    const answer = await hub.call(`/events?mode=poll&${query}`);
    expect((await answer.events.rest()).map(({ data }) => data)).toEqual(expected);
  });

  test("with wait=0 it answers at once with what there is, and says when there is more", async () => {
    await using hub = await start(form, { log: createMemoryLog() });
    const ids = await hub.hub.publish(["0", "1"].map((data) => ({ data })));
    const tail = ids[1];
    const at = async (cursor: string) => {
      const answer = await hub.call(`/events?mode=poll&wait=0&${cursor}`);
      const data = (await answer.events.rest()).map((event) => event.data);
      return { data, more: answer.header("millrace-more") ?? undefined, cursor: answer.events.lastEventId };
    };
    expect(await at(`lastEventId=${tail}`)).toEqual({ data: [], more: undefined, cursor: tail });
    expect(await at(`lastEventId=${ids[0]}`)).toEqual({ data: ["1"], more: undefined, cursor: tail });
    expect(await at("rewind=0")).toEqual({ data: [], more: undefined, cursor: tail });
    // Behind the tail of the log, but at that of its channels: it has to read to know.
    const other = await hub.hub.publish({ channel: "else", data: "no" });
    expect(await at(`lastEventId=${tail}`)).toEqual({ data: [], more: undefined, cursor: other });
    expect(hub.hub.stats().connections).toBe(0);
    const sent = Array.from({ length: 200 }, (_, n) => `${n} ${"x".repeat(1000)}`);
    await hub.hub.publish(sent.map((data) => ({ data })));
    const got: string[] = [];
    for (let answer = await at(`lastEventId=${tail}`); ; answer = await at(`lastEventId=${answer.cursor}`)) {
      got.push(...answer.data);
      expect(answer.more).toBe(got.length < 200 ? "1" : undefined);
      if (!answer.more) break;
    }
    expect(got).toEqual(sent);
  });

  test("waits as long as it is asked to, and not longer than the hub lets it", async () => {
    await using hub = await start(form, { limits: { pollMs: 400 } });
    const id = await hub.hub.publish({ data: "0" });
    const took = async (wait: string) => {
      const startedMs = performance.now();
      const answer = await hub.call(`/events?mode=poll&lastEventId=${id}&wait=${wait}`);
      expect(await answer.text()).toBe(`id: ${id}\n\n`);
      return performance.now() - startedMs;
    };
    const [short, long] = await Promise.all([took("100ms"), took("25s")]);
    expect(short).toBeGreaterThan(95);
    expect(short).toBeLessThan(long);
    expect(long).toBeGreaterThan(395);
  });

  test.each([
    ["/events?mode=poll&wait=26s", undefined, "up to 25s"],
    ["/events?mode=poll&wait=-1", undefined, "it may be 0, or such as 500ms or 5s"],
    ["/events?mode=poll&wait=", undefined, "it may be 0"],
    ["/events?mode=poll&wait=5", undefined, "it may be 0"],
    ["/events?wait=5s", undefined, "wait is for polls"],
    ["/events", json({ mode: "poll", wait: 0 }), "wait must be a string"],
    ["/events", json({ mode: "stream", wait: "0" }), "wait is for polls"],
  ])("%s is no wait", async (path, init, said) => {
    await using hub = await start(form);
    const answer = await hub.call(path, init);
    expect(answer.status).toBe(400);
    expect(await answer.text()).toContain(said);
  });

  test("one that is ended in onConnection is answered with its farewell", async () => {
    await using hub = await start(form, {
      onConnection: (connection, what) => what === "open" && hub.hub.disconnect(connection, { reconnect: false }),
    });
    const answer = await hub.call("/events?mode=poll&rewind=0");
    expect(answer.status).toBe(200);
    expect(await answer.text()).toContain("id: millrace.closed");
    expect(hub.errors).toEqual([]);
    await until("it is gone", () => hub.hub.stats().connections === 0);
  });

  test("rewind=0 is the tail: it waits there", async () => {
    await using hub = await start(form);
    await hub.hub.publish({ data: "0" });
    const answering = hub.call("/events?mode=poll&rewind=0&format=envelope");
    await until("it waits", () => hub.hub.stats().connections === 1);
    await hub.hub.publish({ data: "1" });
    const events = await (await answering).events.rest();
    expect(events.map(({ data }) => JSON.parse(data).data)).toEqual(["1"]);
  });

  test("after its time it answers with the cursor alone, which has moved over other channels", async () => {
    await using hub = await start(form, { limits: { pollMs: 200 } });
    const answering = hub.call("/events?mode=poll&rewind=0");
    await until("it waits", () => hub.hub.stats().connections === 1);
    const id = await hub.hub.publish({ channel: "else", data: "no" });
    const answer = await answering;
    expect(await answer.text()).toBe(`id: ${id}\n\n`);
    expect(hub.hub.stats().connections).toBe(0);
  });

  test("a gap is said in the answer", async () => {
    await using hub = await start(form);
    const answer = await hub.call("/events?mode=poll&lastEventId=nobody-5");
    const events = await answer.events.rest();
    expect(events.map(({ type }) => type)).toEqual(["millrace.gap"]);
    expect(answer.events.lastEventId).toBe(hub.hub.position());
  });

  test("an answer is bounded, and following its ids gives everything once", async () => {
    await using hub = await start(form);
    const sent = Array.from({ length: 300 }, (_, at) => `${at} ${"x".repeat(1000)}`);
    await hub.hub.publish(sent.map((data) => ({ data })));
    const got: string[] = [];
    let cursor = "rewind=all";
    for (let answers = 0; got.length < sent.length; answers++) {
      expect(answers).toBeLessThan(10);
      const { events } = await hub.call(`/events?mode=poll&${cursor}`);
      got.push(...(await events.rest()).map(({ data }) => data));
      expect(events.bytes).toBeLessThan(100_000);
      cursor = `lastEventId=${events.lastEventId}`;
    }
    expect(got).toEqual(sent);
  });

  test("more than one chunk in one flush to a waiting poll is not lost", async () => {
    await using hub = await start(form);
    const answering = hub.call("/events?mode=poll&rewind=0");
    await until("it waits", () => hub.hub.stats().connections === 1);
    const sent = Array.from({ length: 200 }, (_, at) => `${at} ${"x".repeat(1000)}`);
    await hub.hub.publish(sent.map((data) => ({ data })));
    const first = await answering;
    const got = await first.events.rest();
    const second = await hub.call("/events?mode=poll", { headers: { "last-event-id": first.events.lastEventId } });
    got.push(...(await second.events.rest()));
    while (got.length < 200) {
      const more = await hub.call(`/events?mode=poll&lastEventId=${got.at(-1)?.lastEventId}`);
      got.push(...(await more.events.rest()));
    }
    expect(got.map(({ data }) => data)).toEqual(sent);
  });

  test("one that leaves while it waits is forgotten", async () => {
    await using hub = await start(form);
    const leaving = new AbortController();
    const answering = hub.call("/events?mode=poll&rewind=0", { signal: leaving.signal }).catch(() => undefined);
    await until("it waits", () => hub.hub.stats().connections === 1);
    leaving.abort();
    await until("it is forgotten", () => hub.hub.stats().connections === 0);
    await answering;
    await hub.hub.publish({ data: "to nobody" });
    expect(hub.errors).toEqual([]);
  });

  test.each([
    ["true", { reason: "disconnected", reconnect: true }],
    ["false", { reason: "disconnected", reconnect: false }],
  ])("is ended with reconnect=%s as a stream is", async (reconnect, said) => {
    await using hub = await start(form);
    const answering = hub.call("/events?mode=poll&rewind=0");
    await until("it waits", () => hub.hub.stats().connections === 1);
    const [waiting] = hub.hub.connections();
    const ended = await hub.call(`/connections/${waiting?.id}?reconnect=${reconnect}`, { method: "DELETE" });
    expect(ended.status).toBe(204);
    const answer = await answering;
    const [last] = await answer.events.rest();
    expect(last?.type).toBe("millrace.close");
    expect(JSON.parse(last?.data ?? "")).toEqual(said);
    // The very last id counts: a client that was told not to come back must not be given another cursor.
    expect(answer.events.lastEventId).toBe(said.reconnect ? hub.hub.position() : "millrace.closed");
  });

  test("is answered at a shutdown", async () => {
    await using hub = await start(form);
    const answering = hub.call("/events?mode=poll&rewind=0");
    await until("it waits", () => hub.hub.stats().connections === 1);
    const closed = hub.hub.close({ drainMs: 2000 });
    const answer = await answering;
    expect((await answer.events.rest()).map(({ data }) => JSON.parse(data).reason)).toEqual(["shutdown"]);
    await closed;
  });

  test("asks by a body as well", async () => {
    await using hub = await start(form);
    await hub.hub.publish({ channel: "a/b", data: "x" });
    const answer = await hub.call("/events", json({ channels: ["a/*"], mode: "poll", rewind: "all" }));
    expect((await answer.events.rest()).map(({ data }) => data)).toEqual(["x"]);
  });

  test("counts as one answer, told when it is given", async () => {
    const told: unknown[] = [];
    await using hub = await start(form, { onAnswer: ({ route, status }) => told.push([route, status]) });
    const answering = hub.call("/events?mode=poll&rewind=0");
    await until("it waits", () => hub.hub.stats().connections === 1);
    expect(told).toEqual([]);
    await hub.hub.publish({ data: "x" });
    await (await answering).text();
    await until("it is told", () => told.length > 0);
    expect(told).toEqual([["/events", 200]]);
  });

  test("a log that fails is an answer, not a crash", async () => {
    const log = createMemoryLog();
    await using hub = await start(form, { log, limits: { pollMs: 50 } });
    log.locate = () => {
      throw new MillraceError("store_failed", "/secret/path cannot be read");
    };
    const answer = await hub.call("/events?mode=poll&lastEventId=x-1");
    expect(answer.status).toBe(503);
    const problem = await answer.problem();
    expect(problem.code).toBe("store_failed");
    expect(JSON.stringify(problem)).not.toContain("secret");
    expect((await open(hub, "/events")).status).toBe(200);
  });
});
