import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createHub, type Millrace } from "../../../src/index.js";
import type { RedisLogOptions } from "../../../src/log/redis/index.js";
import { createParser } from "../../../src/protocol/index.js";
import { mulberry } from "../../mulberry.js";
import { long, until } from "../support.js";
import { losing, opener } from "./nodes.js";
import { redisAvailable, startRedis, type TestRedis } from "./server.js";

const redis = redisAvailable();

interface Node extends AsyncDisposable {
  readonly hub: Millrace;
  readonly url: string;
}

/** A client that keeps what it was given, on whichever node, and goes on elsewhere from there. */
class Client {
  readonly got: { id: string; data: string; channel: string }[] = [];
  readonly gaps: unknown[] = [];
  readonly #query: string;
  lastEventId = "";
  opened = false;
  #stream = new AbortController();

  constructor(query: string) {
    this.#query = query;
  }

  /** Follows a node until it is told to stop, or the stream ends. */
  async follow(node: Node): Promise<void> {
    this.leave();
    this.opened = false;
    const stream = new AbortController();
    this.#stream = stream;
    const cursor = this.lastEventId ? { "last-event-id": this.lastEventId } : undefined;
    try {
      const response = await fetch(`${node.url}/events?${this.#query}`, {
        headers: { ...cursor },
        signal: stream.signal,
      });
      if (response.status !== 200 || !response.body) return;
      const parser = createParser({
        onEvent: ({ type, data, lastEventId, channel = "" }) => {
          this.lastEventId = lastEventId;
          if (type === "millrace.gap") this.gaps.push(JSON.parse(data));
          else if (!type.startsWith("millrace.")) this.got.push({ id: lastEventId, data, channel });
        },
        onLastEventId: (id) => {
          this.lastEventId = id;
          this.opened = true;
        },
      });
      for await (const chunk of response.body) {
        if (stream.signal.aborted) return;
        parser.feed(chunk as Uint8Array);
      }
    } catch {
      // it was cut
    }
  }

  leave(): void {
    this.#stream.abort();
  }
}

describe.skipIf(!redis.available)("hubs on one Redis", { meta: { skipReason: redis.reason } }, () => {
  let server: TestRedis;
  beforeAll(async () => {
    server = await startRedis(["--appendonly", "yes", "--appendfsync", "always"]);
  });
  afterAll(async () => {
    await server[Symbol.asyncDispose]();
  });

  /** So many hubs with real HTTP, on one log. */
  async function startNodes(
    count: number,
    options: RedisLogOptions = {},
    on: TestRedis = server,
    client = (_at: number) => on.client(),
  ) {
    const { open, notices } = opener(on, options);
    const nodes = await Promise.all(
      Array.from({ length: count }, async (_, at): Promise<Node> => {
        const hub = createHub({
          log: await open({}, client(at)),
          authorize: () => ({ user: "ann" }),
          heartbeatMs: 200,
          onError: (error) => notices.push(String(error)),
        });
        const http: Server = createServer(hub.listener);
        await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
        return {
          hub,
          url: `http://127.0.0.1:${(http.address() as AddressInfo).port}`,
          [Symbol.asyncDispose]: async () => {
            await hub.close({ drainMs: 0 });
            http.closeAllConnections();
            await new Promise((resolve) => http.close(resolve));
          },
        };
      }),
    );
    return {
      nodes,
      notices,
      [Symbol.asyncDispose]: async () => {
        await Promise.all(nodes.map((node) => node[Symbol.asyncDispose]()));
      },
    };
  }

  const publish = async (node: Node, body: unknown, key?: string): Promise<Response> =>
    fetch(`${node.url}/publish`, {
      method: "POST",
      headers: { "content-type": "application/json", ...(key === undefined ? {} : { "idempotency-key": key }) },
      body: JSON.stringify(body),
    });

  test("what is published on one is given to the other's subscribers, with the same ids", async () => {
    await using started = await startNodes(2);
    const [one, other] = started.nodes as [Node, Node];
    const clients = ["channel=a", "channel=a&channel=b", "channel=*", "channel=c/*"].map((query) => new Client(query));
    const following = clients.map((client) => client.follow(other));
    await until("all are there", () => clients.every(({ opened }) => opened));
    const answer = await publish(one, [
      { channel: "a", data: "1" },
      { channel: "b", data: "2" },
      { channel: "c/x", data: { n: 3 } },
      { channel: "@user/ann", data: "4" },
    ]);
    const { ids } = (await answer.json()) as { ids: string[] };
    await one.hub.broadcast({ data: "5" });
    const dataOf = (client: Client) => client.got.map(({ data }) => data);
    await until("all has come", () => clients.every((client) => dataOf(client).at(-1) === "5"));
    expect(clients.map(dataOf)).toEqual([
      ["1", "4", "5"],
      ["1", "2", "4", "5"],
      ["1", "2", '{"n":3}', "4", "5"],
      ['{"n":3}', "4", "5"],
    ]);
    expect(clients[2]?.got.slice(0, 4).map(({ id }) => id)).toEqual(ids);
    for (const client of clients) client.leave();
    await Promise.all(following);
  });

  test("one who comes for the first time is given what comes then, and a rewind what was", async () => {
    await using started = await startNodes(2);
    const [one, other] = started.nodes as [Node, Node];
    for (let n = 1; n <= 5; n++) await publish(one, { channel: "a", data: `${n}` });
    const fresh = new Client("channel=a");
    const two = new Client("channel=a&rewind=2");
    const all = new Client("channel=*&rewind=all");
    const clients = [fresh, two, all];
    for (const client of clients) void client.follow(other);
    await until("all are there", () => clients.every(({ opened }) => opened));
    await publish(one, { channel: "a", data: "6" });
    await until("all has come", () => clients.every(({ got }) => got.at(-1)?.data === "6"));
    const dataOf = (client: Client) => client.got.map(({ data }) => data).join(" ");
    expect(clients.map(dataOf)).toEqual(["6", "4 5 6", "1 2 3 4 5 6"]);
    expect(clients.flatMap(({ gaps }) => gaps)).toEqual([]);
    for (const client of clients) client.leave();
    const polled = await fetch(`${other.url}/events?channel=a&mode=poll&lastEventId=${two.got[0]?.id}`);
    expect((await polled.text()).match(/data: \d/g)).toEqual(["data: 5", "data: 6"]);
  });

  test("a position of one is known to the other at once", async () => {
    await using started = await startNodes(2);
    const [one, other] = started.nodes as [Node, Node];
    for (let n = 0; n < 20; n++) {
      const answer = await publish(one, { channel: `c/${n}`, data: `${n}` });
      const { ids } = (await answer.json()) as { ids: string[] };
      const client = new Client(`channel=c/${n}&lastEventId=${ids[0]}`);
      void client.follow(other);
      await until("it is there", () => client.opened);
      await publish(one, { channel: `c/${n}`, data: "next" });
      await until("the next has come", () => client.got.length > 0);
      expect(client.got.map(({ data }) => data)).toEqual(["next"]);
      expect(client.gaps).toEqual([]);
      client.leave();
    }
  });

  test("a run on one node ends for the subscribers of the other, and nobody else writes to it", async () => {
    await using started = await startNodes(2);
    const [one, other] = started.nodes as [Node, Node];
    let finish = () => {};
    const { done } = await one.hub.run("answers/1", async (run) => {
      await run.send({ data: "token" });
      await new Promise<void>((resolve) => {
        finish = resolve;
      });
    });
    const client = new Client("channel=answers/1&rewind=all");
    const following = client.follow(other);
    await until("it has begun", () => client.got.length === 1);
    expect((await publish(other, { channel: "answers/1", data: "mine" })).status).toBe(409);
    finish();
    expect(await done).toEqual({ status: "done" });
    await following; // its stream is ended
    expect(client.got.map(({ data }) => data)).toEqual(["token"]);
    expect((await publish(other, { channel: "answers/1", data: "mine" })).status).toBe(409);
  });

  test("a loop inside a program reads what other nodes publish", async () => {
    await using started = await startNodes(2);
    const [one, other] = started.nodes as [Node, Node];
    const got: unknown[] = [];
    const reading = (async () => {
      for await (const { data } of other.hub.subscribe({ channels: ["a/*"], rewind: 10 })) {
        got.push(data);
        if (got.length === 50) return;
      }
    })();
    for (let n = 0; n < 50; n++) await one.hub.publish({ channel: `a/${n % 4}`, data: n });
    await reading;
    expect(got).toEqual(Array.from({ length: 50 }, (_, n) => n));
  });

  test("during an outage publishing is 503 with Retry-After, streams stay, and go on", async () => {
    await using started = await startNodes(2);
    const [one, other] = started.nodes as [Node, Node];
    const client = new Client("channel=a");
    void client.follow(other);
    await until("it is there", () => client.opened);
    await publish(one, { channel: "a", data: "before" });
    await until("it has come", () => client.got.length === 1);
    await server.kill();
    await until("it is known", async () => (await fetch(`${one.url}/ready`)).status === 503);
    const refused = await publish(one, { channel: "a", data: "lost?" }, "key");
    expect(refused.status).toBe(503);
    expect(refused.headers.get("retry-after")).toBe("5");
    expect(await refused.json()).toMatchObject({ code: "store_failed" });
    const late = new Client("channel=a"); // comes while Redis is away
    void late.follow(other);
    await until("it is there", () => late.opened);
    expect(other.hub.stats().connections).toBe(2);
    await server.start();
    await until("it is ready", async () => (await fetch(`${one.url}/ready`)).status === 200);
    expect((await publish(one, { channel: "a", data: "after" }, "key")).status).toBe(200);
    await until("it has come", () => client.got.length === 2 && late.got.length === 1);
    expect(client.got.map(({ data }) => data)).toEqual(["before", "after"]);
    expect(client.gaps).toEqual([]);
    expect(other.hub.stats().closed).toBe(0);
    client.leave();
    late.leave();
  });

  test("events that Redis has lost are told as a gap to those who are there, and nobody is cut", async () => {
    await using forgetful = await startRedis();
    await using started = await startNodes(2, {}, forgetful);
    const [one, other] = started.nodes as [Node, Node];
    const clients = ["channel=a", "channel=*", "channel=b"].map((query) => new Client(query));
    for (const client of clients) void client.follow(other);
    const gaps: unknown[] = [];
    const loop = other.hub.subscribe({ channels: ["a"], onGap: (gap) => gaps.push(gap) })[Symbol.asyncIterator]();
    await until("all are there", () => clients.every(({ opened }) => opened));
    await publish(one, { channel: "a", data: "1" });
    expect((await loop.next()).value).toMatchObject({ data: "1" });
    await until("it has come", () => clients[0]?.got.length === 1);
    await forgetful.kill();
    await until("it is known", async () => (await fetch(`${other.url}/ready`)).status === 503);
    await forgetful.start({ empty: true });
    for (const { url } of [one, other]) {
      await until("it is ready", async () => (await fetch(`${url}/ready`)).status === 200);
    }
    await until("the gap is said", () => clients.every((client) => client.gaps.length > 0));
    await publish(one, [
      { channel: "a", data: "2" },
      { channel: "b", data: "2" },
    ]);
    await until("it goes on", () => clients.every(({ got }) => got.at(-1)?.data === "2"));
    expect(clients.map(({ got }) => got.map(({ data }) => data).join(" "))).toEqual(["1 2", "1 2 2", "2"]);
    for (const client of clients) expect(client.gaps[0]).toMatchObject({ reason: "unknown", may: true });
    expect((await loop.next()).value).toMatchObject({ data: "2" });
    expect(gaps.length).toBeGreaterThan(0);
    const old = clients[1]?.got[0]?.id ?? "";
    const late = new Client(`channel=a&lastEventId=${old}`);
    void late.follow(one);
    await until("it has come", () => late.got.length === 1);
    expect(late.gaps).toHaveLength(1);
    for (const client of [...clients, late]) client.leave();
    await loop.return?.();
  });

  test("messages that are lost between Redis and a hub are given late, once, and no cursor goes back", async () => {
    const seed = Math.floor(Math.random() * 2 ** 31);
    const random = mulberry(seed);
    let rate = 0;
    let lost = 0;
    const lossy = (at: number) =>
      losing(server.client(), (topic) => {
        if (at === 0 || topic.endsWith(":e") || random() >= rate) return false;
        lost++;
        return true;
      });
    await using started = await startNodes(2, {}, server, lossy);
    const [one, other] = started.nodes as [Node, Node];
    const queries = ["channel=a", "channel=a&channel=b", "channel=*", "channel=c/*&channel=a"];
    const clients = queries.map((query) => new Client(query));
    for (const client of clients) void client.follow(other);
    await until("all are there", () => clients.every(({ opened }) => opened));
    await publish(one, { channel: "a", data: "begin" });
    await until("all that read it follow", () => clients.every(({ got }) => got.length === 1));
    rate = 0.3;
    const channels = ["a", "b", "c/1", "c/2", "@user/ann"];
    const sent: { id: string; channel: string }[] = [];
    const send = async (channel: string) => {
      const { ids } = (await (await publish(one, { channel, data: "x" })).json()) as { ids: [string] };
      sent.push({ id: ids[0], channel });
    };
    for (let n = 0; n < 150; n++) await send(channels[Math.floor(random() * channels.length)] as string);
    rate = 1;
    for (const channel of channels) await send(channel); // these are found by looking for them
    rate = 0;
    const expected = clients.map((_, at) => {
      const selects = [/^a$/, /^[ab]$/, /^[^@]/, /^(a|c.*)$/][at] as RegExp;
      return sent.filter(({ channel }) => channel === "@user/ann" || selects.test(channel));
    });
    await until("all has come", () => clients.every(({ got }, at) => got.length > (expected[at]?.length ?? 0)));
    expect(lost).toBeGreaterThan(30);
    for (const [at, { got, gaps }] of clients.entries()) {
      for (const channel of channels) {
        const own = got.slice(1).filter((event) => event.channel === channel);
        const all = (expected[at] ?? []).filter((event) => event.channel === channel);
        expect(
          own.map(({ id }) => id),
          `seed ${seed}`,
        ).toEqual(all.map(({ id }) => id));
      }
      expect(got).toHaveLength((expected[at]?.length ?? 0) + 1);
      expect(gaps).toEqual([]);
    }
    for (const client of clients) void client.follow(one); // goes on from its cursor: nothing comes again
    await until("all are there", () => clients.every(({ opened }) => opened));
    await publish(one, { channel: "a", data: "end" });
    await until("the end has come", () => clients.every(({ got }) => got.at(-1)?.data === "end"));
    for (const [at, { got }] of clients.entries()) {
      expect(got, `seed ${seed}`).toHaveLength((expected[at]?.length ?? 0) + 2);
    }
    for (const client of clients) client.leave();
  });

  test("subscribers that move from node to node lose nothing and double nothing", { timeout: 120_000 }, async () => {
    await using started = await startNodes(3);
    const { nodes } = started;
    const seed = Math.floor(Math.random() * 2 ** 31);
    const random = mulberry(seed);
    const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)] as T;
    const channels = ["a", "b", "c/1", "c/2", "c/2/deep", "@user/ann"];
    const selections: [string, (channel: string) => boolean][] = [
      ["channel=a", (channel) => channel === "a"],
      ["channel=a&channel=b", (channel) => channel === "a" || channel === "b"],
      ["channel=c/*", (channel) => channel.startsWith("c/")],
      ["channel=*", () => true],
      ["channel=b&channel=c/2/*", (channel) => channel === "b" || channel === "c/2/deep"],
    ];
    const clients = Array.from({ length: 30 }, (_, at) => {
      const [query, selects] = selections[at % selections.length] as (typeof selections)[number];
      return { client: new Client(query), selects };
    });
    for (const { client } of clients) void client.follow(pick(nodes));
    await until("all are there", () => clients.every(({ client }) => client.opened));
    const published = new Map<string, string>(); // by id
    let n = 0;
    const rounds = long ? 60 : 12;
    for (let round = 0; round < rounds; round++) {
      const publishing = nodes.map(async (node) => {
        for (let k = 0; k < 8; k++) {
          const events = Array.from({ length: 1 + Math.floor(random() * 4) }, () => ({
            channel: pick(channels),
            data: `${n++}`,
          }));
          const key = `${seed}-${n}`;
          for (;;) {
            const answer = await publish(node, events, key);
            if (answer.status === 200) {
              const { ids } = (await answer.json()) as { ids: string[] };
              for (const [at, id] of ids.entries()) published.set(id, events[at]?.channel ?? "");
              break;
            }
            expect(answer.status, `seed ${seed}`).toBe(503);
            await new Promise((resolve) => setTimeout(resolve, 20));
          }
          const { client } = pick(clients);
          if (random() < 0.7) void client.follow(pick(nodes));
        }
      });
      if (round % 4 === 1) await server.command("CLIENT", "KILL", "TYPE", "pubsub");
      if (round % 6 === 3) {
        await server.kill();
        await server.start();
      }
      await Promise.all(publishing);
    }
    const last = await publish(
      nodes[0] as Node,
      [...channels].map((channel) => ({ channel, data: "last" })),
    );
    const { ids } = (await last.json()) as { ids: string[] };
    for (const [at, id] of ids.entries()) published.set(id, channels[at] as string);
    for (const { client } of clients) void client.follow(pick(nodes));
    await until("all have the last", () => clients.every(({ client }) => client.got.at(-1)?.id === ids.at(-1)), 30_000);
    const sequence = (id: string) => Number(id.slice(id.indexOf("-") + 1));
    const all = [...published].sort(([a], [b]) => sequence(a) - sequence(b));
    for (const { client, selects } of clients) {
      const expected = all.filter(([, channel]) => channel === "@user/ann" || selects(channel)).map(([id]) => id);
      expect(
        client.got.map(({ id }) => id),
        `seed ${seed}`,
      ).toEqual(expected);
      expect(client.gaps, `seed ${seed}`).toEqual([]);
      client.leave();
    }
  });
});
