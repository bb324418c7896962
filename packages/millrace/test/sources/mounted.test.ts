/** The sources on real streams, as an application has them. */
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { eventStream } from "../../src/http/event-stream.js";
import { every, resilient, selfTest, systemFigures } from "../../src/sources/index.js";
import { EventReader } from "../http/support/events.js";
import { until } from "../http/support/until.js";
import { noTimers } from "./timers.js";

const open: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const close of open.splice(0)) await close();
});

async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  open.push(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

async function read(url: string) {
  const leave = new AbortController();
  const response = await fetch(url, { signal: leave.signal });
  return {
    headers: response.headers,
    events: new EventReader(response.body as unknown as AsyncIterable<Uint8Array>),
    leave: () => leave.abort(),
  };
}

describe("on a stream", () => {
  it("the self-test tells its client's id in the header and in each event", async () => {
    const headers = ({ id }: { id: string }) => ({ "X-Client-ID": id });
    const url = await serve(eventStream(selfTest({ events: 200, log: () => {} }), { headers }));
    const { headers: got, events } = await read(url);
    const id = got.get("x-client-id");
    expect(id).toMatch(/^[\w-]{20,}$/);
    for (let sequence = 1; sequence <= 200; sequence++) {
      const { type, lastEventId, data } = await events.next();
      expect([type, lastEventId]).toEqual(["test", `${sequence}`]);
      expect(JSON.parse(data)).toMatchObject({ sequence, client_id: id });
    }
    const { type, data } = await events.next();
    expect(type).toBe("summary");
    expect(JSON.parse(data)).toMatchObject({ total_events: 200 });
  });

  it("figures come as events, and stop when the client leaves", async () => {
    let over = false;
    const url = await serve(
      eventStream(async (stream) => {
        try {
          for await (const data of systemFigures({ everyMs: 10, signal: stream.signal })) {
            await stream.send({ event: "system", data });
          }
        } finally {
          over = true;
        }
      }),
    );
    const { events, leave } = await read(url);
    for (let at = 0; at < 3; at++) {
      const { type, data } = await events.next();
      expect(type).toBe("system");
      expect(JSON.parse(data).cpu.total).toBeGreaterThanOrEqual(0);
    }
    leave();
    await until("the end of the loop", () => over);
    await open.pop()?.();
    await noTimers();
  });

  it("a source that fails tells its client when to come back, and why it gave up", async () => {
    let calls = 0;
    const produce = () => {
      if (++calls > 1) throw new Error("no signal");
      return "on air";
    };
    const url = await serve(eventStream((stream) => stream.pipe(resilient(produce, { everyMs: 1, pauseMs: 1 }))));
    const { events } = await read(url);
    const data = [];
    for (let at = 0; at < 4; at++) data.push((await events.next()).data);
    expect(data).toEqual(["on air", '{"retry":1}', '{"retry":2}', '{"error":"Max retries exceeded: no signal"}']);
    expect(events.retries).toEqual(expect.arrayContaining([5000]));
  });

  it("a beat with nothing to say writes nothing", async () => {
    let beats = 0;
    const url = await serve(
      eventStream((stream) => stream.pipe(every(1, () => (++beats % 10 < 3 ? { data: beats } : undefined)))),
    );
    const { events, leave } = await read(url);
    const seen: number[] = [];
    while (seen.length < 9) seen.push(Number((await events.next()).data));
    leave();
    expect(seen).toEqual([1, 2, 10, 11, 12, 20, 21, 22, 30]);
  });
});
