import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { forms, http1, json, open, start, within } from "./support/index.js";

const tick = (key: string, data: string, channel = "prices") => ({ channel, key, data });

describe.each(forms)("conflation over $name", (form) => {
  test.each([
    ["/events?channel=prices&rewind=all&conflate=1", undefined],
    ["/events?channel=prices&rewind=all&every=10ms", undefined],
    ["/events?channel=*&rewind=all&conflate=1&every=1s", undefined],
    ["/events", json({ channels: ["prices"], rewind: "all", conflate: true })],
    ["/events", json({ channels: ["prices"], rewind: "all", conflate: true, every: "20ms" })],
  ])("a client of %s is given the latest of each key, then what comes", async (target, call) => {
    await using hub = await start(form);
    await hub.hub.publish([tick("a", "1"), tick("b", "2"), { channel: "prices", data: "3" }, tick("a", "4")]);
    const { events } = await open(hub, target, call);
    expect(await events.data(3)).toEqual(["2", "3", "4"]);
    await hub.hub.publish([tick("b", "5"), tick("b", "6")]);
    expect(await events.data(1)).toEqual(["6"]);
  });

  test.each([
    ["/events?channel=prices&rewind=all&every=1m", undefined],
    ["/events?channel=prices&rewind=all&every=1h", undefined],
    ["/events", json({ channels: ["prices"], rewind: "all", every: "60m" })],
  ])("minutes and hours are times too: %s", async (target, call) => {
    await using hub = await start(form);
    await hub.hub.publish([tick("a", "1"), tick("a", "2")]);
    const { events } = await open(hub, target, call);
    expect(await events.data(1)).toEqual(["2"]);
  });

  test("of an envelope the key's latest comes, and rewind counts before that", async () => {
    await using hub = await start(form);
    await hub.hub.publish([tick("a", "1"), tick("b", "2"), tick("b", "3"), tick("a", "4")]);
    const { events } = await open(hub, "/events?channel=prices&format=envelope&conflate=1&rewind=3");
    expect((await events.data(2)).map((data) => JSON.parse(data).data)).toEqual(["3", "4"]);
  });

  test("a poll is conflated, and knows no every", async () => {
    await using hub = await start(form);
    const id = await hub.hub.publish(tick("a", "0"));
    await hub.hub.publish([tick("a", "1"), tick("b", "2"), tick("a", "3")]);
    const answer = await hub.call(`/events?channel=prices&mode=poll&conflate=1&lastEventId=${id}`);
    const events = await answer.events.rest();
    expect(events.map(({ data }) => data)).toEqual(["2", "3"]);
    const refused = await hub.call(`/events?mode=poll&every=1s&lastEventId=${id}`);
    expect(refused.status).toBe(400);
    expect(await refused.text()).toContain("every is for streams");
  });

  test.each([
    ["/events?conflate=2", undefined, 'conflate is \\"2\\": it may be 1'],
    ["/events?conflate=true", undefined, "it may be 1"],
    ["/events?conflate", undefined, "it may be 1"],
    ["/events?conflate=1&conflate=1", undefined, "may be given once"],
    ...[
      "250",
      "0ms",
      "9ms",
      "3601s",
      "61m",
      "2h",
      "1d",
      "1.5s",
      "-5s",
      "1M",
      " 1s",
      "1s ",
      "",
      "1e3ms",
      "99999999ms",
      "١s",
    ].map((every) => [`/events?every=${encodeURIComponent(every)}`, undefined, "such as 250ms or 5s, from 10ms to 1h"]),
    ["/events", json({ conflate: 1 }), "conflate must be true or false"],
    ["/events", json({ conflate: "1" }), "conflate must be true or false"],
    ["/events", json({ every: 250 }), "every must be a string"],
    ["/events", json({ every: "9ms" }), "such as 250ms"],
  ] as [string, ReturnType<typeof json> | undefined, string][])("%s is refused", async (target, call, message) => {
    await using hub = await start(form);
    const answer = await hub.call(target, call);
    expect(answer.status).toBe(400);
    expect(await answer.text()).toContain(message);
    expect([...hub.hub.connections()]).toEqual([]);
  });

  test("coming back with any id gives the latest of each key behind it", async () => {
    await using hub = await start(form);
    const published = Array.from({ length: 60 }, (_, at) => tick(`k${(at * 7) % 11}`, String(at + 1)));
    const ids = await hub.hub.publish(published);
    for (const at of [0, 1, 20, 48, 49, 57, 58]) {
      const last = new Map<string, string>();
      for (const { key, data } of published.slice(at + 1)) {
        last.delete(key);
        last.set(key, data);
      }
      const { events, leave } = await open(hub, "/events?channel=prices&conflate=1", {
        headers: { "last-event-id": ids[at] as string },
      });
      expect(await events.data(last.size)).toEqual([...last.values()]);
      leave();
    }
  });

  test("different times between writes keep apart", async () => {
    await using hub = await start(form);
    const streams = await Promise.all(
      ["every=20ms", "every=100ms", "conflate=1"].map((query) => open(hub, `/events?channel=prices&${query}`)),
    );
    const counts = [0, 0, 0];
    const lasts = ["", "", ""];
    const reading = streams.map(async ({ events }, at) => {
      while (lasts[at] !== "last") {
        lasts[at] = (await events.next()).data;
        counts[at] = (counts[at] as number) + 1;
      }
    });
    const startMs = performance.now();
    for (let n = 0; performance.now() - startMs < 400; n++) {
      await hub.hub.publish(tick("k", String(n)));
      await sleep(1);
    }
    await hub.hub.publish(tick("k", "last"));
    await within("the last value", Promise.all(reading));
    const elapsedMs = performance.now() - startMs;
    const [often, seldom, plain] = counts as [number, number, number];
    expect(often).toBeLessThanOrEqual(elapsedMs / 20 + 2);
    expect(seldom).toBeLessThanOrEqual(elapsedMs / 100 + 2);
    expect(seldom).toBeLessThan(often);
    expect(often).toBeLessThan(plain);
  });
});

describe.each([http1, forms[1] as (typeof forms)[0]])("a client that does not read, over $name", (form) => {
  test.each(["conflate=1", "every=20ms"])("is given with %s no stale value behind a newer one", async (query) => {
    await using hub = await start(form);
    const { events } = await open(hub, `/events?channel=prices&${query}`);
    const keys = 40;
    const padding = "x".repeat(2000);
    let rounds = 0;
    // More than the sockets and the kernel between them hold.
    for (; rounds < 500; rounds++) {
      await hub.hub.publish(
        Array.from({ length: keys }, (_, at) => ({
          channel: "prices",
          key: `k${at}`,
          data: `${at} ${rounds} ${padding}`,
        })),
      );
    }
    await hub.hub.publish({ channel: "prices", data: "end" });
    const last = new Map<string, number>();
    let received = 0;
    for (;;) {
      const { data } = await events.next();
      if (data === "end") break;
      received++;
      const [key = "", round] = data.split(" ");
      expect(Number(round)).toBeGreaterThan(last.get(key) ?? -1);
      last.set(key, Number(round));
    }
    expect([...last.values()]).toEqual(Array(keys).fill(rounds - 1));
    expect(received).toBeLessThan(keys * rounds * 0.8);
  });
});
