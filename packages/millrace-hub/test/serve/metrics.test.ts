import { createHub, createMemoryLog } from "millrace";
import { describe, expect, it } from "vitest";
import { createMetrics, type Metrics } from "../../src/serve/metrics.js";

/** The value of a sample such as `millrace_published_total` or `…_count{method="GET",…}`. */
async function sampleOf(metrics: Metrics, sample: string): Promise<number> {
  const { text } = await metrics.read();
  const line = text.split("\n").find((candidate) => candidate.startsWith(`${sample} `));
  return line === undefined ? Number.NaN : Number(line.slice(sample.length + 1));
}

function hubWithMetrics() {
  const log = createMemoryLog();
  const hub = createHub({ log });
  return { hub, metrics: createMetrics({ stats: () => hub.stats(), log: () => log.stats() }) };
}

describe("metrics", () => {
  it("are what the hub itself counts, each time they are asked for", async () => {
    const { hub, metrics } = hubWithMetrics();
    expect(await sampleOf(metrics, "millrace_published_total")).toBe(0);
    await hub.publish([{ data: "a" }, { data: "b", channel: "news" }]);
    expect(await sampleOf(metrics, "millrace_published_total")).toBe(2);
    expect(await sampleOf(metrics, "millrace_published_total")).toBe(2);
    expect(await sampleOf(metrics, "millrace_log_entries")).toBe(2);
    expect(await sampleOf(metrics, "millrace_channels")).toBe(2);
    expect(await sampleOf(metrics, "millrace_store_writable")).toBe(1);
    await hub.close();
  });

  it("are in the text format, every one with its help and type", async () => {
    const { hub, metrics } = hubWithMetrics();
    metrics.answered({ method: "GET", route: "/events", status: 200, durationMs: 3 });
    const { type, text } = await metrics.read();
    expect(type).toMatch(/^text\/plain; version=0\.0\.4/);
    const names = [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name]) => name);
    expect(names.filter((name) => !text.includes(`# HELP ${name} `))).toEqual([]);
    expect(names).toEqual(
      expect.arrayContaining(["millrace_connections", "millrace_deliveries_total", "process_resident_memory_bytes"]),
    );
    for (const [, name, kind] of text.matchAll(/^# TYPE (millrace_\S+) (\S+)$/gm)) {
      if (kind === "counter") expect(name).toMatch(/_total$/);
    }
    expect(names).not.toContain("millrace_users"); // nobody is told apart so far
    await hub.close();
  });

  it("count answers by method, route and status", async () => {
    const { metrics } = hubWithMetrics();
    for (const durationMs of [2, 4]) metrics.answered({ method: "POST", route: "/publish", status: 200, durationMs });
    const labels = 'method="POST",route="/publish",status="200"';
    expect(await sampleOf(metrics, `millrace_http_request_duration_seconds_count{${labels}}`)).toBe(2);
    expect(await sampleOf(metrics, `millrace_http_request_duration_seconds_sum{${labels}}`)).toBeCloseTo(0.006);
    expect(await sampleOf(metrics, `millrace_http_request_duration_seconds_bucket{le="0.0025",${labels}}`)).toBe(1);
  });

  it("take no label from a client: an invented method counts as other", async () => {
    const { metrics } = hubWithMetrics();
    for (let at = 0; at < 100; at++) {
      metrics.answered({ method: `BREW${at}"\n`, route: "/events", status: 405, durationMs: 1 });
    }
    const { text } = await metrics.read();
    expect(text).not.toContain("BREW");
    const labels = 'method="other",route="/events",status="405"';
    expect(await sampleOf(metrics, `millrace_http_request_duration_seconds_count{${labels}}`)).toBe(100);
  });

  it("feed the meter of requests", () => {
    const { metrics } = hubWithMetrics();
    const read = metrics.requests.window();
    expect(read()).toMatchObject({ requestsPerSecond: 0, responseMeanMs: null });
    metrics.answered({ method: "GET", route: "/health", status: 200, durationMs: 1 });
    metrics.answered({ method: "GET", route: "/events", status: 403, durationMs: 3 });
    expect(read()).toMatchObject({ errorPercent: 50, responseMeanMs: 2 });
  });
});
