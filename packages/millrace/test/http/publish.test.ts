import { describe, expect, test } from "vitest";
import { type Call, forms, json, open, start, until } from "./support/index.js";

const ndjson = (lines: readonly string[]): Call => ({
  method: "POST",
  headers: { "content-type": "application/x-ndjson" },
  body: lines.join("\n"),
});

const withType = (type: string | undefined, body: string | Uint8Array): Call => ({
  method: "POST",
  headers: type === undefined ? {} : { "content-type": type },
  body,
});

describe.each(forms)("publishing over $name", (form) => {
  test("one event: every member arrives, and its id is answered", async () => {
    await using hub = await start(form);
    const { events } = await open(hub, "/events?channel=news");
    const answer = await hub.call(
      "/publish",
      json({ channel: "news", event: "head", data: "a\r\nb\rc\n", key: "k", retry: 7000 }),
    );
    expect(answer.status).toBe(200);
    expect(answer.header("content-type")).toBe("application/json");
    const { ids } = JSON.parse(await answer.text());
    expect(ids).toEqual([hub.hub.position()]);
    expect(answer.header("millrace-position")).toBe(ids[0]);
    expect(await events.next()).toEqual({ type: "head", channel: "news", data: "a\nb\nc\n", lastEventId: ids[0] });
    expect(events.retries.at(-1)).toBe(7000);
  });

  test("without a channel it means general", async () => {
    await using hub = await start(form);
    const { events } = await open(hub, "/events");
    await hub.call("/publish", json({ data: { a: [1, null] } }));
    expect(await events.next()).toMatchObject({ type: "message", channel: "general", data: '{"a":[1,null]}' });
  });

  test.each(["text", "", 0, false, null, [], [[]], { __proto__: null }, "ünï\u2028cödé \u{1f600}"])(
    "carries the data %j",
    async (data) => {
      await using hub = await start(form);
      const { events } = await open(hub, "/events");
      expect((await hub.call("/publish", json({ data }))).status).toBe(200);
      expect((await events.next()).data).toBe(typeof data === "string" ? data : JSON.stringify(data));
    },
  );

  test("an array, and lines: ids in their order", async () => {
    await using hub = await start(form);
    const { events } = await open(hub, "/events?channel=*");
    const array = await hub.call("/publish", json([{ data: "0" }, { channel: "b", data: "1" }, { data: "2" }]));
    const first = JSON.parse(await array.text()).ids;
    const lines = await hub.call("/publish", ndjson(['{"data":"3"}\r', "", ' {"channel":"c","data":"4"} ', ""]));
    const ids = [...first, ...JSON.parse(await lines.text()).ids];
    expect(ids).toHaveLength(5);
    const got = [];
    while (got.length < 5) got.push(await events.next());
    expect(got.map(({ data }) => data)).toEqual(["0", "1", "2", "3", "4"]);
    expect(got.map(({ lastEventId }) => lastEventId)).toEqual(ids);
    expect(lines.header("millrace-position")).toBe(ids[4]);
  });

  test.each([
    ["an array", json([{ data: 1 }, { data: 2, event: "millrace.gap" }]), "invalid_event", /event 2 of 2.*reserved/],
    ["an array", json([{ data: 1 }, 7]), "invalid_event", /event 2 of 2.*the number 7/],
    ["an array", json([]), "invalid_event", /empty/],
    ["an array", json([[{ data: 1 }]]), "invalid_event", /event 1 of 1.*an array/],
    ["lines", ndjson(['{"data":1}', '{"data":2,"extra":3}']), "invalid_event", /line 2.*"extra".*data, channel/],
    ["lines", ndjson(['{"data":1}', "", "{"]), "invalid_json", /line 3/],
    ["lines", ndjson(["", " "]), "invalid_event", /no lines/],
    ["a body", json({ data: 1, channel: "a\nb" }), "invalid_channel", /CR, LF or NUL/],
    ["a body", json({ data: 1, channel: "*" }), "invalid_channel", /\*/],
    ["a body", json({ data: 1, channel: "@everyone" }), "invalid_channel", /@user\/<id>/],
    ["a body", json({ channel: "a" }), "invalid_event", /data is missing/],
    ["a body", json("text"), "invalid_event", /the string "text"/],
    ["a body", json(null), "invalid_event", /null/],
    ["a body", withType("application/json", ""), "invalid_json", /not JSON/],
    ["a body", withType("application/json", "{data:1}"), "invalid_json", /not JSON/],
    ["a body", withType("application/json", Buffer.from('{"data":"\xff"}', "latin1")), "invalid_encoding", /UTF-8/],
  ])("%s that is wrong is refused whole", async (_, call, code, detail) => {
    await using hub = await start(form);
    const answer = await hub.call("/publish", call);
    expect(answer.status).toBe(400);
    expect(await answer.problem()).toMatchObject({ status: 400, code, detail: expect.stringMatching(detail) });
    expect(hub.hub.log.tail).toBe(0);
    expect(hub.errors).toEqual([]);
  });

  test.each([undefined, "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/jsonp"])(
    "the content type %s is refused with the corrected command",
    async (type) => {
      await using hub = await start(form);
      // Bytes, because a Request would name a type of its own for a text.
      const answer = await hub.call("/publish", withType(type, Buffer.from('{"data":1}')));
      expect(answer.status).toBe(415);
      const { code, detail } = await answer.problem();
      expect(code).toBe("unsupported_media_type");
      expect(detail).toContain("-H 'Content-Type: application/json'");
      expect(hub.hub.log.tail).toBe(0);
    },
  );

  test("a content type may have parameters and any letter case; a compressed body is refused", async () => {
    await using hub = await start(form);
    expect((await hub.call("/publish", withType("Application/JSON ; charset=utf-8", '{"data":1}'))).status).toBe(200);
    const packed = json({ data: 1 }, { "content-encoding": "gzip" });
    const answer = await hub.call("/publish", packed);
    expect(answer.status).toBe(415);
    expect((await answer.problem()).detail).toContain("Content-Encoding");
  });

  test("takes no parameters", async () => {
    await using hub = await start(form);
    const answer = await hub.call("/publish?channel=a", json({ data: 1 }));
    expect(answer.status).toBe(400);
    expect((await answer.problem()).code).toBe("unknown_parameter");
  });

  test.each([1.5, 20])("a body of %d times the limit is answered 413", async (times) => {
    await using hub = await start(form, { limits: { bodyBytes: 10_000 } });
    const answer = await hub.call("/publish", json({ data: "x".repeat(times * 10_000) }));
    expect(answer.status).toBe(413);
    expect(await answer.problem()).toMatchObject({ code: "too_large", detail: expect.stringContaining("10000 bytes") });
    expect((await hub.call("/publish", json({ data: "x".repeat(9_000) }))).status).toBe(200);
  });

  test("to a connection that is there, and to one that is not: then nothing is kept", async () => {
    await using hub = await start(form);
    const { events, header } = await open(hub, "/events");
    const channel = `@connection/${header("millrace-connection")}`;
    expect((await hub.call("/publish", json({ channel, data: "for you" }))).status).toBe(200);
    expect(await events.next()).toMatchObject({ channel, data: "for you" });
    const tail = hub.hub.log.tail;
    const gone = await hub.call("/publish", json([{ data: "a" }, { channel: "@connection/nobody", data: "b" }]));
    expect(gone.status).toBe(404);
    expect((await gone.problem()).code).toBe("connection_gone");
    expect(hub.hub.log.tail).toBe(tail);
    expect((await hub.call("/publish", json({ channel: "@user/nobody", data: "kept" }))).status).toBe(200);
  });

  test("a key is each user's own", async () => {
    await using hub = await start(form, {
      authorize: (request) => {
        const user = request.header("x-user");
        return user === undefined ? {} : { user };
      },
    });
    const call = (data: number, user?: string) =>
      json({ data }, { "idempotency-key": "order 7", ...(user === undefined ? {} : { "x-user": user }) });
    for (const [data, user] of [[1, "ann"], [2, "bob"], [3]] as const) {
      expect((await hub.call("/publish", call(data, user))).status).toBe(200);
      expect((await hub.call("/publish", call(data, user))).status).toBe(200);
    }
    expect(hub.hub.log.tail).toBe(3);
    expect((await hub.call("/publish", call(2, "ann"))).status).toBe(422);
  });

  test.each(["", "x".repeat(257)])("a key has 1 to 256 bytes", async (key) => {
    await using hub = await start(form);
    const answer = await hub.call("/publish", json({ data: 1 }, { "idempotency-key": key }));
    expect(answer.status).toBe(400);
    expect(await answer.problem()).toMatchObject({ code: "invalid_event", detail: expect.stringContaining("256") });
  });

  test("a body that does not come in time is answered 408", async () => {
    await using hub = await start(form, { limits: { bodyMs: 100 } });
    const answer = await hub.call("/publish", { ...json({ data: 1 }), unfinished: true });
    expect(answer.status).toBe(408);
    expect((await answer.problem()).code).toBe("request_timeout");
    expect(hub.errors).toEqual([]);
    await until("it is over", () => hub.open() === 0);
  });

  test("again with the same key: the same ids and nothing new; with another body 422", async () => {
    await using hub = await start(form);
    const call = json([{ data: 1 }, { data: 2 }], { "idempotency-key": "order 7" });
    const [first, atOnce] = await Promise.all([hub.call("/publish", call), hub.call("/publish", call)]);
    const ids = await first.text();
    expect(await atOnce.text()).toBe(ids);
    expect(await (await hub.call("/publish", call)).text()).toBe(ids);
    expect(hub.hub.log.tail).toBe(2);
    const other = await hub.call("/publish", json({ data: 1 }, { "idempotency-key": "order 7" }));
    expect(other.status).toBe(422);
    expect((await other.problem()).code).toBe("idempotency_conflict");
    expect(hub.hub.log.tail).toBe(2);
  });

  test("a key has at most 256 bytes, of UTF-8", async () => {
    await using hub = await start(form);
    const publish = (key: string) =>
      hub.call("/publish", json({ data: 1 }, { "idempotency-key": Buffer.from(key).toString("latin1") }));
    expect((await publish("é".repeat(128))).status).toBe(200);
    for (const key of ["é".repeat(129), "x".repeat(257)]) {
      const answer = await publish(key);
      expect(answer.status).toBe(400);
      expect((await answer.problem()).detail).toContain("256 bytes");
    }
  });

  test("faster than the rate is answered 429 with when to come back", async () => {
    await using hub = await start(form, { limits: { publishRate: 10 } });
    expect((await hub.call("/publish", json(Array.from({ length: 10 }, () => ({ data: 1 }))))).status).toBe(200);
    const answer = await hub.call("/publish", json(Array.from({ length: 30 }, () => ({ data: 1 }))));
    expect(answer.status).toBe(429);
    expect(Number(answer.header("retry-after"))).toBeGreaterThanOrEqual(1);
    expect((await answer.problem()).code).toBe("too_many_events");
    expect(hub.hub.log.tail).toBe(10);
  });

  test("a store that cannot write is answered without what it said", async () => {
    await using hub = await start(form);
    hub.hub.log.append = () => Promise.reject(new Error("ENOENT /secret/place"));
    const answer = await hub.call("/publish", json({ data: 1 }));
    expect(answer.status).toBe(500);
    const problem = await answer.problem();
    expect(problem.code).toBe("internal");
    expect(JSON.stringify(problem)).not.toContain("secret");
    expect(hub.errors).toHaveLength(1);
  });
});
