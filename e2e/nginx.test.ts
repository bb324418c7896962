/** The hub behind a real nginx: as it is configured without a thought, and as docs/deploy/nginx.conf recommends. */
import { readFile } from "node:fs/promises";
import http from "node:http";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type HubProcess, startHub } from "./support/hub.js";
import { nginxAvailable, startNginx } from "./support/nginx.js";
import { until } from "./support/until.js";

const { available, reason: skipReason } = await nginxAvailable();

const publicName = "push.example.com";

/** Replaces what must be there: a test of a file that has changed under it would test nothing. */
function substitute(text: string, changes: Record<string, string>): string {
  return Object.entries(changes).reduce((changed, [from, to]) => {
    expect(changed).toContain(from);
    return changed.replaceAll(from, to);
  }, text);
}

interface Stream {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  text(): string;
  ended(): boolean;
  close(): void;
}

/** Opens a stream; with `node:http`, to choose Host and the address that it comes from. */
function openStream(url: string, options: http.RequestOptions = {}): Promise<Stream> {
  return new Promise((resolve, reject) => {
    const request = http.get(url, { agent: false, ...options }, (response) => {
      let text = "";
      let ended = false;
      response.setEncoding("utf8").on("data", (part: string) => {
        text += part;
      });
      response.on("close", () => {
        ended = true;
      });
      response.on("error", () => {});
      resolve({
        status: response.statusCode ?? 0,
        headers: response.headers,
        text: () => text,
        ended: () => ended,
        close: () => request.destroy(),
      });
    });
    request.on("error", reject);
  });
}

async function publish(url: string, data: string): Promise<string> {
  const headers = { "content-type": "application/json" };
  const response = await fetch(`${url}/publish`, { method: "POST", headers, body: JSON.stringify({ data }) });
  expect(response.status).toBe(200);
  return ((await response.json()) as { ids: string[] }).ids[0] ?? "";
}

async function connections(url: string): Promise<{ remoteAddress: string }[]> {
  const answer = (await (await fetch(`${url}/connections`)).json()) as { connections: { remoteAddress: string }[] };
  return answer.connections;
}

const plain = (hub: HubProcess) => (port: number) =>
  `server { listen 127.0.0.1:${port}; location / { proxy_pass ${hub.url}; } }`;

async function recommended(hub: HubProcess, changes: Record<string, string> = {}) {
  const file = await readFile(new URL("../docs/deploy/nginx.conf", import.meta.url), "utf8");
  return (port: number) =>
    substitute(file, {
      "    listen 80;": `    listen 127.0.0.1:${port};`,
      "server 127.0.0.1:4000;": `server ${new URL(hub.url).host};`,
      ...changes,
    });
}

describe.skipIf(!available)("behind nginx", { meta: { skipReason } }, () => {
  describe.each(["with nothing but proxy_pass", "as docs/deploy/nginx.conf says"])("%s", (how) => {
    let hub: HubProcess;
    let proxy: Awaited<ReturnType<typeof startNginx>>;

    beforeAll(async () => {
      const flags = ["--allowed-host", publicName, "--trusted-proxy", "127.0.0.1"];
      hub = await startHub(["--store", "memory", "--heartbeat", "200ms", ...flags]);
      proxy = await startNginx(how.startsWith("with") ? plain(hub) : await recommended(hub));
    });

    afterAll(async () => {
      await proxy?.[Symbol.asyncDispose]();
      await hub?.[Symbol.asyncDispose]();
    });

    test("an event arrives at once", async () => {
      const stream = await openStream(`${proxy.url}/events`);
      expect(stream.status).toBe(200);
      expect(stream.headers["content-type"]).toMatch(/^text\/event-stream/);
      for (let at = 1; at <= 5; at++) {
        await publish(proxy.url, `event ${at}`);
        await until(`event ${at}, within a second`, () => stream.text().includes(`data: event ${at}\n\n`), 1_000);
      }
      stream.close();
    });

    test("Last-Event-ID passes, and the stream goes on where it was", async () => {
      const id = await publish(proxy.url, "seen");
      await publish(proxy.url, "missed");
      const stream = await openStream(`${proxy.url}/events`, { headers: { "last-event-id": id } });
      await until("what was missed", () => stream.text().includes("data: missed\n\n"));
      expect(stream.text()).not.toContain("data: seen");
      expect(stream.text()).not.toContain("millrace.gap");
      stream.close();
    });

    test("heartbeats pass", async () => {
      const stream = await openStream(`${proxy.url}/events`);
      await until(
        "three of them",
        () => (stream.text().match(/^: keepalive \d+\nid: \S+\n\n/gm) ?? []).length >= 3,
        5_000,
      );
      stream.close();
    });

    test("a client that leaves is gone at the hub too", async () => {
      await until("nobody is there", async () => (await connections(hub.url)).length === 0);
      const stream = await openStream(`${proxy.url}/events`);
      expect(await connections(hub.url)).toHaveLength(1);
      stream.close();
      await until("nobody is there", async () => (await connections(hub.url)).length === 0);
    });

    test("long-polls and errors pass as they are", async () => {
      const id = await publish(proxy.url, "before");
      const poll = fetch(`${proxy.url}/events?mode=poll&lastEventId=${id}`);
      await publish(proxy.url, "polled");
      expect(await (await poll).text()).toContain("data: polled\n\n");
      const refused = await fetch(`${proxy.url}/events?chanel=x`);
      expect(refused.status).toBe(400);
      expect(refused.headers.get("content-type")).toBe("application/problem+json");
    });
  });

  const forwarded = { headers: { "x-forwarded-for": "203.0.113.9" }, localAddress: "127.0.0.2" };

  test("the hub believes X-Forwarded-For of --trusted-proxy, and of that only what the proxy wrote", async () => {
    await using hub = await startHub([
      "--store",
      "memory",
      "--allowed-host",
      publicName,
      "--trusted-proxy",
      "127.0.0.1",
    ]);
    await using proxy = await startNginx(await recommended(hub));
    const stream = await openStream(`${proxy.url}/events`, forwarded);
    expect((await connections(hub.url)).map(({ remoteAddress }) => remoteAddress)).toEqual(["127.0.0.2"]);
    stream.close();
  });

  test("without --trusted-proxy all come from the proxy", async () => {
    await using hub = await startHub(["--store", "memory", "--allowed-host", publicName]);
    await using proxy = await startNginx(await recommended(hub));
    const stream = await openStream(`${proxy.url}/events`, forwarded);
    expect((await connections(hub.url)).map(({ remoteAddress }) => remoteAddress)).toEqual(["127.0.0.1"]);
    stream.close();
  });

  test("a hub on loopback refuses the proxy's public name until --allowed-host", async () => {
    const asPublic = { headers: { host: publicName } };
    await using closed = await startHub(["--store", "memory"]);
    await using toClosed = await startNginx(await recommended(closed));
    const refused = await openStream(`${toClosed.url}/events`, asPublic);
    await until("the reason", () => refused.ended());
    expect(refused.status).toBe(403);
    expect(JSON.parse(refused.text())).toMatchObject({
      code: "forbidden_host",
      detail: expect.stringMatching(/--allowed-host/),
    });

    await using open = await startHub(["--store", "memory", "--allowed-host", publicName]);
    await using toOpen = await startNginx(await recommended(open));
    const stream = await openStream(`${toOpen.url}/events`, asPublic);
    expect(stream.status).toBe(200);
    stream.close();
  });

  test("heartbeats keep an idle stream open for longer than nginx waits", async () => {
    await using hub = await startHub(["--store", "memory", "--heartbeat", "300ms"]);
    await using proxy = await startNginx(
      await recommended(hub, { "proxy_read_timeout 60s;": "proxy_read_timeout 1s;" }),
    );
    const stream = await openStream(`${proxy.url}/events`);
    await until("eight heartbeats", () => (stream.text().match(/keepalive/g) ?? []).length >= 8);
    expect(stream.ended()).toBe(false);
    stream.close();

    await using silent = await startHub(["--store", "memory", "--heartbeat", "off"]);
    await using toSilent = await startNginx(
      await recommended(silent, { "proxy_read_timeout 60s;": "proxy_read_timeout 1s;" }),
    );
    const cut = await openStream(`${toSilent.url}/events`);
    await until("nginx cuts the silent one", () => cut.ended());
  });

  test("the hub survives a proxy that goes, and clients find it again", async () => {
    await using hub = await startHub(["--store", "memory"]);
    const first = await startNginx(plain(hub));
    const stream = await openStream(`${first.url}/events`);
    const id = await publish(hub.url, "seen");
    await until("the event", () => stream.text().includes("data: seen"));
    await first[Symbol.asyncDispose]();
    await until("nobody is there", async () => (await connections(hub.url)).length === 0);
    await publish(hub.url, "missed");
    await using second = await startNginx(plain(hub));
    const again = await openStream(`${second.url}/events`, { headers: { "last-event-id": id } });
    await until("what was missed", () => again.text().includes("data: missed"));
    again.close();
  });
});
