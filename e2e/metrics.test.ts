/** What Prometheus reads of a hub that runs. */
import { expect, test } from "vitest";
import { type HubProcess, startHub } from "./support/hub.js";
import { until } from "./support/until.js";

interface Sample {
  readonly name: string;
  readonly labels: Record<string, string>;
  readonly value: number;
}

/** Reads the text format strictly: a line is a comment, a sample, or an error. prom-client writes `Nan`, which Prometheus takes. */
function parse(text: string): Sample[] {
  expect(text.endsWith("\n")).toBe(true);
  return text
    .split("\n")
    .filter((line) => line !== "" && !/^# (HELP|TYPE) /.test(line))
    .map((line) => {
      const [, name = "", labels = "", value = ""] =
        /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? ([+-]?(?:[\d.]+(?:e[+-]?\d+)?|Inf)|Nan)$/i.exec(line) ?? [];
      expect(name, line).not.toBe("");
      const pairs = [...labels.matchAll(/(\w+)="((?:[^"\\\n]|\\.)*)"/g)].map(([, key, text]) => [key, text]);
      return {
        name,
        labels: Object.fromEntries(pairs) as Record<string, string>,
        value: Number(value.replace("Inf", "Infinity")),
      };
    });
}

async function read(hub: HubProcess): Promise<(name: string, labels?: Record<string, string>) => number> {
  const response = await fetch(`${hub.url}/metrics`);
  expect(response.status).toBe(200);
  expect(response.headers.get("content-type")).toMatch(/^text\/plain; version=0\.0\.4/);
  const samples = parse(await response.text());
  return (name, labels = {}) =>
    samples.find(
      (sample) => sample.name === name && Object.entries(labels).every(([key, value]) => sample.labels[key] === value),
    )?.value ?? Number.NaN;
}

test("counts connections, events, deliveries and requests", async () => {
  await using hub = await startHub(["--store", "disk:./events", "--retention-events", "5"]);
  const before = await read(hub);
  expect(before("millrace_connections")).toBe(0);
  expect(before("millrace_published_total")).toBe(0);

  const controllers = [new AbortController(), new AbortController()];
  const streams = await Promise.all(controllers.map(({ signal }) => fetch(`${hub.url}/events?channel=a`, { signal })));
  const events = Array.from({ length: 10 }, (_, at) => ({ channel: at < 8 ? "a" : "b", data: at }));
  await fetch(`${hub.url}/publish`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(events),
  });
  await until("all deliveries", async () => (await read(hub))("millrace_deliveries_total") === 16);
  const during = await read(hub);
  expect(during("millrace_connections")).toBe(2);
  expect(during("millrace_published_total")).toBe(10);
  expect(during("millrace_connections_opened_total")).toBe(2);
  expect(during("millrace_groups")).toBe(1);
  expect(during("millrace_channels")).toBe(2);
  expect(during("millrace_log_entries")).toBe(7);
  expect(during("millrace_store_writable")).toBe(1);
  expect(during("millrace_store_bytes")).toBeGreaterThan(0);
  expect(during("process_resident_memory_bytes")).toBeGreaterThan(1024 ** 2);
  const requests = "millrace_http_request_duration_seconds_count";
  expect(during(requests, { method: "POST", route: "/publish", status: "200" })).toBe(1);
  expect(during(requests, { method: "GET", route: "/events", status: "200" })).toBe(2);

  for (const controller of controllers) controller.abort();
  await Promise.allSettled(streams.map((stream) => stream.text()));
  await until("nobody is there", async () => (await read(hub))("millrace_connections") === 0);
  expect((await read(hub))("millrace_connections_closed_total")).toBe(2);

  const id = "restored-1";
  await fetch(`${hub.url}/events?mode=poll&lastEventId=${id}&channel=a`);
  expect((await read(hub))("millrace_gaps_total")).toBe(1);
});

test("has no label that a client could invent", async () => {
  await using hub = await startHub(["--store", "memory"]);
  for (const path of ["/events?channel=*x*", "/connections/%7B%7D", "/nowhere", "/publish"]) {
    await fetch(`${hub.url}${path}`, { method: "DELETE" });
  }
  const samples = parse(await (await fetch(`${hub.url}/metrics`)).text()).filter(({ labels }) => labels.route);
  const known = ["/events", "/publish", "/connections", "/connections/*", "/health", "/ready", "/metrics"];
  expect(samples.map(({ labels }) => labels.route).filter((route) => !known.includes(route ?? ""))).toEqual([]);
});

test("is read by those who may subscribe, and by nobody else", async () => {
  const status = async (hub: HubProcess, path: string, headers = {}) =>
    (await fetch(`http://127.0.0.1:${new URL(hub.url).port}${path}`, { headers })).status;
  await using hub = await startHub(["--store", "memory", "--host", "0.0.0.0", "--api-key", "secret"]);
  expect(await status(hub, "/metrics")).toBe(401);
  expect(await status(hub, "/metrics", { authorization: "Bearer wrong" })).toBe(403);
  expect(await status(hub, "/metrics", { authorization: "Bearer secret" })).toBe(200);
  for (const path of ["/health", "/ready"]) expect(await status(hub, path)).toBe(200);
  await using open = await startHub(["--store", "memory", "--host", "0.0.0.0", "--allow-anonymous"]);
  expect(await status(open, "/metrics")).toBe(200);
  expect(await status(open, "/connections")).toBe(403);
});
