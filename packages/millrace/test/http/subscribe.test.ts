import { describe, expect, test } from "vitest";
import { createMemoryLog } from "../../src/index.js";
import { deferred, forms, json, open, start, until } from "./support/index.js";

describe.each(forms)("subscribing over $name", (form) => {
  test("opens with a reconnection time and a cursor, before there is any event", async () => {
    await using hub = await start(form);
    await hub.hub.publish({ data: "before" });
    const { events, header } = await open(hub, "/events");
    expect(events.retries).toHaveLength(1);
    expect(events.retries[0]).toBeGreaterThanOrEqual(2000);
    expect(events.retries[0]).toBeLessThanOrEqual(4000);
    expect(events.cursors).toEqual([hub.hub.position()]);
    expect(header("millrace-position")).toBe(hub.hub.position());
    expect(header("millrace-heartbeat-ms")).toBe("15000");
    expect(hub.hub.connection(header("millrace-connection") ?? "")).toBeDefined();
  });

  test("answers with a head that no cache and no proxy holds back", async () => {
    await using hub = await start(form);
    const { header } = await open(hub, "/events");
    expect(header("content-type")).toBe("text/event-stream; charset=utf-8");
    expect(header("cache-control")).toBe("no-cache, no-store, must-revalidate, no-transform");
    expect(header("pragma")).toBe("no-cache");
    expect(header("expires")).toBe("0");
    expect(header("x-accel-buffering")).toBe("no");
    expect(header("x-content-type-options")).toBe("nosniff");
    expect(header("content-length")).toBeUndefined();
    expect(header("transfer-encoding")).toBeUndefined();
  });

  test("means general when it names no channel", async () => {
    await using hub = await start(form);
    const { events } = await open(hub, "/events");
    await hub.hub.publish({ channel: "news", data: "not here" });
    const id = await hub.hub.publish({ data: "here" });
    expect(await events.next()).toEqual({ type: "message", data: "here", channel: "general", lastEventId: id });
  });

  test("follows exactly the channels that it names, in the order of the log", async () => {
    await using hub = await start(form);
    const { events } = await open(hub, "/events?channel=news&channel=chat%2Fa&channel=caf%C3%A9+1");
    await hub.hub.publish([
      { channel: "chat/a", event: "said", data: { text: "hi" } },
      { channel: "chat", data: "no" },
      { channel: "chat/a/b", data: "no" },
      { channel: "news", data: "two\nlines" },
      { channel: "café 1", data: "three" },
    ]);
    expect(await events.next()).toMatchObject({ type: "said", channel: "chat/a", data: '{"text":"hi"}' });
    expect(await events.next()).toMatchObject({ type: "message", channel: "news", data: "two\nlines" });
    expect(await events.next()).toMatchObject({ channel: "café 1", data: "three" });
  });

  test("takes a prefix for what is below it at any depth, not for itself", async () => {
    await using hub = await start(form);
    const { events } = await open(hub, "/events?channel=news/*");
    await hub.hub.publish(
      ["news", "newsroom", "news/", "news/a", "news/a/b", "x/news/a"].map((channel) => ({ channel, data: channel })),
    );
    expect(await events.data(2)).toEqual(["news/a", "news/a/b"]);
  });

  test("takes * for every channel but those of identities", async () => {
    await using hub = await start(form);
    const { events } = await open(hub, "/events?channel=*");
    await hub.hub.publish([
      { channel: "@user/ann", data: "no" },
      { channel: "@role/admin", data: "no" },
      { channel: "a", data: "a" },
      { channel: "b/c", data: "b/c" },
    ]);
    expect(await events.data(2)).toEqual(["a", "b/c"]);
  });

  test.each(["@user/ann", "@role/admin", "@connection/1", "@user/*", "@*", "@"])(
    "refuses to select %s",
    async (name) => {
      await using hub = await start(form);
      const answer = await hub.call(`/events?channel=${encodeURIComponent(name)}`);
      expect(answer.status).toBe(400);
      expect(await answer.problem()).toMatchObject({ code: "invalid_channel", detail: expect.stringContaining("@") });
      expect(hub.hub.stats().connections).toBe(0);
    },
  );

  test("gives a subscriber the channels of its identity, in order with the others", async () => {
    await using hub = await start(form, { authorize: () => ({ user: "ann", roles: ["admin"] }) });
    const { events, header } = await open(hub, "/events?channel=news");
    const own = `@connection/${header("millrace-connection")}`;
    const channels = ["@user/ann", "news", "@role/admin", own, "news", "@user/bob", "@role/other", "news"];
    await hub.hub.publish(channels.map((channel, at) => ({ channel, data: `${at}` })));
    expect(await events.data(6)).toEqual(["0", "1", "2", "3", "4", "7"]);
  });

  test("writes envelopes for those who ask for them", async () => {
    await using hub = await start(form);
    const { events } = await open(hub, "/events?format=envelope&channel=a");
    const before = Date.now();
    const ids = await hub.hub.publish([
      { channel: "a", event: "typed", data: "a text\nof two lines" },
      { channel: "a", data: { nested: [1, null, "x"] } },
      { channel: "a", data: "7" },
      { channel: "a", data: 7 },
    ]);
    const got = [await events.next(), await events.next(), await events.next(), await events.next()];
    expect(got.map(({ type }) => type)).toEqual(["message", "message", "message", "message"]);
    expect(got.map(({ lastEventId }) => lastEventId)).toEqual(ids);
    const envelopes = got.map(({ data }) => JSON.parse(data));
    expect(envelopes[0]).toMatchObject({ channel: "a", event: "typed", id: ids[0], data: "a text\nof two lines" });
    expect(envelopes.map(({ data }) => data).slice(1)).toEqual([{ nested: [1, null, "x"] }, "7", 7]);
    expect(envelopes[0].time).toBeGreaterThanOrEqual(before);
    expect(envelopes[0].time).toBeLessThanOrEqual(Date.now());
  });

  test("an envelope tells a reconnection time as the event does", async () => {
    await using hub = await start(form);
    const { events } = await open(hub, "/events?format=envelope");
    await hub.hub.publish({ data: "slower, please", retry: 9000 });
    await events.next();
    expect(events.retries.at(-1)).toBe(9000);
  });

  test.each([
    ["rewind=2", ["3", "4"]],
    ["rewind=100", ["0", "1", "3", "4"]],
    ["rewind=all", ["0", "1", "3", "4"]],
    ["rewind=0", []],
    ["lastEventId=", []],
    ["lastEventId=&rewind=1", ["4"]],
  ])("begins with %s behind the right event", async (query, expected) => {
    await using hub = await start(form);
    await hub.hub.publish(["a", "b", "x", "a", "b"].map((channel, at) => ({ channel, data: `${at}` })));
    const { events } = await open(hub, `/events?channel=a&channel=b&${query}`);
    await hub.hub.publish({ channel: "a", data: "end" });
    expect(await events.data(expected.length + 1)).toEqual([...expected, "end"]);
  });

  test("a cursor by header wins over one by parameter, and both over rewind", async () => {
    await using hub = await start(form);
    const ids = await hub.hub.publish(["0", "1", "2", "3"].map((data) => ({ data })));
    const byParameter = await open(hub, `/events?rewind=all&lastEventId=${ids[1]}`);
    expect(byParameter.header("millrace-position")).toBe(ids[1]);
    expect(await byParameter.events.data(2)).toEqual(["2", "3"]);
    const byHeader = await open(hub, `/events?rewind=all&lastEventId=${ids[0]}`, {
      headers: { "last-event-id": ids[2] as string },
    });
    expect(await byHeader.events.data(1)).toEqual(["3"]);
    const emptyHeader = await open(hub, `/events?lastEventId=${ids[1]}`, { headers: { "last-event-id": "" } });
    expect(await emptyHeader.events.data(2)).toEqual(["2", "3"]);
  });

  test.each(["nobody-7", "not a position", "..", "é"])("opens for the unknown id %j and says a gap", async (id) => {
    await using hub = await start(form);
    const ids = await hub.hub.publish([{ data: "0" }, { data: "1" }]);
    const { events } = await open(hub, `/events?lastEventId=${encodeURIComponent(id)}`);
    const gap = await events.next();
    expect(gap.type).toBe("millrace.gap");
    expect(JSON.parse(gap.data)).toEqual({ reason: "unknown", may: true, channels: [] });
    expect(gap.lastEventId).toBe(ids[0]?.replace(/1$/, "0"));
    expect(await events.data(2)).toEqual(["0", "1"]);
  });

  test("says a gap where retention has taken entries, and none for a rewind", async () => {
    await using hub = await start(form, { log: createMemoryLog({ retention: { events: 2 } }) });
    const ids = await hub.hub.publish(["0", "1", "2", "3"].map((data) => ({ data })));
    await until("the oldest are dropped", () => hub.hub.log.stats().entries === 2);
    const resumed = await open(hub, `/events?lastEventId=${ids[0]}`);
    const gap = await resumed.events.next();
    expect(gap).toMatchObject({ type: "millrace.gap", lastEventId: ids[1] });
    expect(JSON.parse(gap.data)).toEqual({ reason: "dropped", may: false, channels: ["general"] });
    expect(await resumed.events.data(2)).toEqual(["2", "3"]);
    const rewound = await open(hub, "/events?rewind=all");
    expect(await rewound.events.data(2)).toEqual(["2", "3"]);
  });

  test.each([
    ["/events?lastEventId=millrace.closed", {}],
    ["/events?mode=poll&lastEventId=millrace.closed", {}],
    ["/events", { "last-event-id": "millrace.closed" }],
  ])("answers 204 to a client that was told not to come back (%s %j)", async (target, headers) => {
    await using hub = await start(form);
    const answer = await hub.call(target, { headers });
    expect(answer.status).toBe(204);
    expect(await answer.text()).toBe("");
    expect(hub.hub.stats().opened).toBe(0);
  });

  test("takes the same from a body", async () => {
    await using hub = await start(form);
    const ids = await hub.hub.publish([
      { channel: "a", data: "0" },
      { channel: "b/c", data: "1" },
    ]);
    const { events } = await open(hub, "/events", json({ channels: ["a", "b/*"], rewind: "all", format: "envelope" }));
    expect((await events.data(2)).map((data) => JSON.parse(data).data)).toEqual(["0", "1"]);
    const byId = await open(hub, "/events", json({ channels: ["a", "b/*"], rewind: 2, lastEventId: ids[0] }));
    expect(await byId.events.data(1)).toEqual(["1"]);
    const rewound = await open(hub, "/events", json({ channels: ["a", "b/*"], rewind: 1 }));
    expect(await rewound.events.data(1)).toEqual(["1"]);
    const general = await open(hub, "/events", json({}));
    await hub.hub.publish({ data: "general" });
    expect(await general.events.data(1)).toEqual(["general"]);
  });

  test("takes more channels in a body than an address may name, up to ten times as many", async () => {
    await using hub = await start(form);
    const channels = Array.from({ length: 10_000 }, (_, at) => (at % 2 ? `c${at}/*` : `c${at}`));
    const refused = await hub.call("/events", json({ channels: [...channels, "one-more"] }));
    expect(refused.status).toBe(400);
    const { events } = await open(hub, "/events", json({ channels }));
    await hub.hub.publish([
      { channel: "c4/x", data: "no" },
      { channel: "c5/x", data: "yes" },
    ]);
    expect(await events.data(1)).toEqual(["yes"]);
  });

  test.each([
    ["/events?chanel=a", "unknown_parameter", /"chanel".*channel, rewind, lastEventId, format, mode/],
    ["/events?format=xml", "invalid_parameter", /"xml".*event or envelope/],
    ["/events?mode=push", "invalid_parameter", /"push".*stream or poll/],
    ["/events?rewind=-1", "invalid_parameter", /"-1".*all/],
    ["/events?rewind=1.5", "invalid_parameter", /rewind/],
    ["/events?rewind=", "invalid_parameter", /rewind/],
    ["/events?rewind=1&rewind=2", "invalid_parameter", /rewind.*once/],
    ["/events?lastEventId=a&lastEventId=a", "invalid_parameter", /lastEventId.*once/],
    ["/events?channel=", "invalid_channel", /0 bytes/],
    ["/events?channel=a*", "invalid_channel", /"a\*"/],
    ["/events?channel=*/a", "invalid_channel", /end/],
    [`/events?channel=${"x".repeat(257)}`, "invalid_channel", /257 bytes/],
    ["/events?channel=a%0Ab", "invalid_channel", /CR, LF or NUL/],
    ["/events?channel=a%00", "invalid_channel", /CR, LF or NUL/],
    ["/events?channel=%ff", "invalid_encoding", /UTF-8/],
    ["/events?channel=%4", "invalid_encoding", /UTF-8/],
    [`/events?${"channel=a&".repeat(1001)}`, "too_many_channels", /1000/],
  ])("refuses %s", async (target, code, detail) => {
    await using hub = await start(form);
    const answer = await hub.call(target);
    expect(answer.status).toBe(400);
    expect(await answer.problem()).toMatchObject({ status: 400, code, detail: expect.stringMatching(detail) });
    expect(hub.hub.stats().opened).toBe(0);
    expect(hub.errors).toEqual([]);
  });

  test.each([
    [[], "invalid_body", /object/],
    ["a", "invalid_body", /object/],
    [null, "invalid_body", /object/],
    [{ channel: "a" }, "unknown_member", /"channel".*channels/],
    [{ channels: "a" }, "invalid_member", /channels/],
    [{ channels: ["a", 1] }, "invalid_member", /channels/],
    [{ channels: ["a\n"] }, "invalid_channel", /CR, LF or NUL/],
    [{ rewind: null }, "invalid_member", /rewind.*number/],
    [{ rewind: -1 }, "invalid_parameter", /rewind/],
    [{ lastEventId: 7 }, "invalid_member", /lastEventId/],
    [{ mode: "x" }, "invalid_parameter", /mode/],
  ])("refuses the body %j", async (body, code, detail) => {
    await using hub = await start(form);
    const answer = await hub.call("/events", json(body));
    expect(answer.status).toBe(400);
    expect(await answer.problem()).toMatchObject({ code, detail: expect.stringMatching(detail) });
  });

  test("a body's request has its selection in the body alone: what its address says is not silently dropped", async () => {
    await using hub = await start(form, { allowedParameters: ["tenant"] });
    const answer = await hub.call("/events?channel=a", json({ channels: ["b"] }));
    expect(answer.status).toBe(400);
    expect(await answer.problem()).toMatchObject({
      code: "unknown_parameter",
      detail: expect.stringContaining("body"),
    });
    await open(hub, "/events?tenant=7", json({ channels: ["b"] }));
  });

  test("knows the application's own parameters when it is told them", async () => {
    await using hub = await start(form, { allowedParameters: ["tenant"] });
    await open(hub, "/events?tenant=7&channel=a&tenant=8");
  });

  test("a client that leaves is forgotten", async () => {
    await using hub = await start(form);
    const { leave, events } = await open(hub, "/events");
    expect(hub.hub.stats().connections).toBe(1);
    leave();
    await until("no connection is left", () => hub.hub.stats().connections === 0);
    expect(await events.rest()).toEqual([]);
    expect(hub.errors).toEqual([]);
  });

  test.each(["/events", "/events?mode=poll&rewind=0"])(
    "a client that leaves before %s lets it in is forgotten",
    async (target) => {
      const asked = deferred<void>();
      const admitted = deferred<object>();
      let held = true;
      await using hub = await start(form, {
        authorize: () => {
          if (!held) return {};
          asked.resolve();
          return admitted.promise;
        },
      });
      const leaving = new AbortController();
      const called = hub.call(target, { signal: leaving.signal }).catch(() => undefined);
      await asked.promise;
      held = false;
      leaving.abort();
      await until("the server knows", () => hub.open() === 0);
      admitted.resolve({});
      await open(hub, "/events");
      expect(hub.hub.stats().connections).toBe(1);
      await called;
      expect(hub.errors).toEqual([]);
    },
  );

  test("heartbeats are comments with the cursor, and dispatch nothing", async () => {
    await using hub = await start(form, { heartbeatMs: 60 });
    const { events, header } = await open(hub, "/events");
    expect(header("millrace-heartbeat-ms")).toBe("60");
    await events.readUntil("two heartbeats", () => events.comments.length >= 2);
    expect(events.comments[0]).toMatch(/^keepalive \d{13}$/);
    const id = await hub.hub.publish({ channel: "elsewhere", data: "moves the tail" });
    await events.readUntil("the cursor moves", () => events.lastEventId === id);
    await hub.hub.publish({ data: "first event" });
    expect(await events.data(1)).toEqual(["first event"]);
  });

  test("heartbeats may be events that page code sees", async () => {
    await using hub = await start(form, { heartbeatMs: 60, heartbeatForm: "event" });
    const { events } = await open(hub, "/events");
    const beat = await events.next();
    expect(beat).toMatchObject({ type: "heartbeat", lastEventId: hub.hub.position() });
    expect(JSON.parse(beat.data)).toEqual({ type: "heartbeat", timestamp: expect.any(Number) });
  });

  test("a stream ends when its identity expires, and its client may come back", async () => {
    await using hub = await start(form, { authorize: () => ({ user: "ann", expiresAtMs: Date.now() + 300 }) });
    const { events } = await open(hub, "/events");
    const last = (await events.rest()).at(-1);
    expect(last).toMatchObject({ type: "millrace.close", lastEventId: hub.hub.position() });
    expect(JSON.parse(last?.data ?? "")).toEqual({ reason: "expired", reconnect: true });
    await until("it is forgotten", () => hub.hub.stats().connections === 0);
  });
});
