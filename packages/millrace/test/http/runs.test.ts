import { describe, expect, test } from "vitest";
import type { RunWriter } from "../../src/index.js";
import { forms, json, open, start, until } from "./support/index.js";

const words =
  (...all: string[]) =>
  async (run: RunWriter) => {
    for (const data of all) await run.send({ data });
  };

describe.each(forms)("a run over $name", (form) => {
  test("ends the stream, and a client that comes back is answered 204", async () => {
    await using hub = await start(form);
    const stream = await open(hub, "/events?channel=a");
    const run = await hub.hub.run("a", words("1", "2"));
    await run.done;
    const events = await stream.events.rest();
    expect(events.map(({ type, data }) => [type, data])).toEqual([
      ["message", "1"],
      ["message", "2"],
      ["millrace.end", '{"status":"done"}'],
      ["millrace.close", '{"reason":"ended","reconnect":false}'],
    ]);
    expect(stream.events.lastEventId).toBe("millrace.closed");
    const [first, , end] = events.map(({ lastEventId }) => lastEventId);
    await hub.hub.publish({ channel: "b", data: "later" });
    for (const cursor of ["millrace.closed", end as string, hub.hub.position()]) {
      for (const mode of ["", "&mode=poll"]) {
        const answer = await hub.call(`/events?channel=a${mode}`, { headers: { "last-event-id": cursor } });
        expect(answer.status).toBe(204);
        expect(await answer.text()).toBe("");
      }
    }
    // One that is cut in the middle reads on; so does one that reads something else too.
    const cut = await hub.call("/events?channel=a", { headers: { "last-event-id": first as string } });
    expect((await cut.events.rest()).map(({ type }) => type)).toEqual(["message", "millrace.end", "millrace.close"]);
    const wider = await open(hub, "/events?channel=a&channel=b", { headers: { "last-event-id": end as string } });
    expect(await wider.events.data(1)).toEqual(["later"]);
    wider.leave();
    expect(hub.errors).toEqual([]);
  });

  test("is polled to its end", async () => {
    await using hub = await start(form);
    const run = await hub.hub.run("a", words("1", "2"));
    await run.done;
    const seen: string[] = [];
    let target = "/events?mode=poll&channel=a&rewind=all";
    for (let polls = 0; ; polls++) {
      expect(polls).toBeLessThan(5);
      const answer = await hub.call(target);
      if (answer.status === 204) break;
      for (const { type, data } of await answer.events.rest()) seen.push(type === "message" ? data : type);
      target = `/events?mode=poll&channel=a&lastEventId=${answer.events.lastEventId}`;
    }
    expect(seen).toEqual(["1", "2", "millrace.end"]);
    const atTail = await hub.call("/events?mode=poll&channel=a&rewind=0");
    expect((await atTail.events.rest()).map(({ type }) => type)).toEqual(["millrace.close"]);
  });

  test("answers a poll that waits with the end", async () => {
    await using hub = await start(form);
    let finish = () => {};
    const { position } = await hub.hub.run("a", () => new Promise<void>((resolve) => (finish = resolve)));
    const waiting = hub.call(`/events?mode=poll&channel=a&lastEventId=${position}`);
    await until("it waits", () => hub.hub.stats().connections === 1);
    finish();
    expect((await (await waiting).events.rest()).map(({ type }) => type)).toEqual(["millrace.end"]);
  });

  test("has one writer: 409", async () => {
    await using hub = await start(form);
    let finish = () => {};
    const run = await hub.hub.run("a", () => new Promise<void>((resolve) => (finish = resolve)));
    const publish = async () => (await hub.call("/publish", json({ channel: "a", data: "no" }))).problem();
    expect(await publish()).toMatchObject({ status: 409, code: "run_active", title: "Conflict" });
    finish();
    await run.done;
    expect(await publish()).toMatchObject({ status: 409, code: "run_ended" });
    const end = await hub.call("/publish", json({ channel: "b", event: "millrace.end", data: "no" }));
    expect((await end.problem()).status).toBe(400);
    const records = await hub.call("/events?channel=@runs");
    expect((await records.problem()).code).toBe("invalid_channel");
  });
});
