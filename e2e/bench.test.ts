/** `millrace-hub bench`, as people and scripts call it, against servers that are there and some that are not. */
import { mkdtemp, rm } from "node:fs/promises";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bin, runCli, runCommand, startCli } from "./support/command.js";
import { type HubProcess, startHub } from "./support/hub.js";
import { until } from "./support/until.js";

let hub: HubProcess;

beforeAll(async () => {
  hub = await startHub(["--store", "memory"]);
});

afterAll(async () => {
  await hub?.[Symbol.asyncDispose]();
});

const bench = (url: string, ...args: string[]) => runCli(["bench", "--url", url, ...args]);
const quick = ["--connections", "30", "--ramp", "1ms", "--duration", "1"];

describe("a hub", () => {
  test("that it publishes to: a table", async () => {
    const { code, stdout, stderr } = await bench(hub.url, ...quick, "--channel", "table", "--publish", "50");
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toMatch(new RegExp(`^target +${hub.url}/events\\?channel=table$`, "m"));
    expect(stdout).toMatch(/^connections +30 of 30 opened, 0 failed, 0 lost$/m);
    expect(stdout).toMatch(/^time to open +p50 [\d.,]+ ms, p99 [\d.,]+ ms, most [\d.,]+ ms$/m);
    expect(stdout).toMatch(/^latency +p50 [\d.,]+ ms, p99 [\d.,]+ ms, most [\d.,]+ ms$/m);
    expect(stdout).toMatch(/^published +\d+ \([\d.]+\/s\)$/m);
    expect(stdout).toMatch(/^deliveries +0 lost, 0 came twice$/m);
  });

  test("that it publishes to: JSON, over several threads", async () => {
    const flags = ["--publish", "50", "--size", "1200B", "--threads", "3", "--json"];
    const { code, stdout } = await bench(`${hub.url}/events?channel=json`, ...quick, ...flags);
    const report = JSON.parse(stdout);
    expect(code).toBe(0);
    expect(stdout.split("\n")).toHaveLength(2);
    const { events } = report.published;
    expect(report).toMatchObject({
      url: `${hub.url}/events?channel=json`,
      interrupted: false,
      connections: { asked: 30, opened: 30, failed: 0, lost: 0 },
      failures: [],
      events: events * 30,
      latencyMs: { since: "publish" },
      published: { lost: 0, twice: 0 },
    });
    expect(events).toBeGreaterThan(40);
    expect(events).toBeLessThan(60);
    expect(report.payloadShare).toBeGreaterThan(0.9);
    expect(report.latencyMs.p50).toBeGreaterThan(0);
    expect(report.latencyMs.p50).toBeLessThanOrEqual(report.latencyMs.p99);
  });

  test("whose envelopes have a time", async () => {
    await using load = startCli([
      "bench",
      "--url",
      `${hub.url}/events?channel=times&format=envelope`,
      ...quick,
      "--json",
    ]);
    await until("the streams are open", async () => {
      const { connections } = (await (await fetch(`${hub.url}/connections`)).json()) as { connections: unknown[] };
      return connections.length === 30;
    });
    const body = JSON.stringify({ channel: "times", data: "x" });
    await fetch(`${hub.url}/publish`, { method: "POST", headers: { "content-type": "application/json" }, body });
    await load.ended;
    expect(JSON.parse(load.stdout())).toMatchObject({ events: 30, latencyMs: { since: "envelope" }, published: null });
  });

  test("whose key it has, and has not", async () => {
    await using own = await startHub(["--store", "memory"], { env: { MILLRACE_API_KEY: "k1" } });
    const refused = await bench(own.url, ...quick, "--publish", "5");
    expect(refused).toMatchObject({ code: 1, stdout: "" });
    expect(refused.stderr).toMatch(/^millrace-hub: publish needs the API key: [^\n]+\n$/);
    const env = { MILLRACE_API_KEY: "k1" };
    const { code, stdout } = await runCli(["bench", "--url", own.url, ...quick, "--publish", "5", "--json"], { env });
    expect(code).toBe(0);
    expect(JSON.parse(stdout).published.lost).toBe(0);
  });

  test("that dies ends it, and is told of", async () => {
    await using own = await startHub(["--store", "memory"]);
    await using load = startCli(["bench", "--url", own.url, "--connections", "10", "--ramp", "0ms", "--json"]);
    await until("the streams are open", async () => {
      const { connections } = (await (await fetch(`${own.url}/connections`)).json()) as { connections: unknown[] };
      return connections.length === 10;
    });
    own.kill("SIGKILL");
    expect((await load.ended).code).toBe(1);
    expect(JSON.parse(load.stdout())).toMatchObject({
      connections: { opened: 10, failed: 0, lost: 10 },
      failures: [{ kind: "cut" }],
    });
  });

  test("over TLS", async () => {
    const folder = await mkdtemp(join(tmpdir(), "millrace-bench-"));
    try {
      const [cert, key] = [join(folder, "cert.pem"), join(folder, "key.pem")];
      const made = [
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "1",
      ];
      const names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"];
      await runCommand("openssl", [...made, "-keyout", key, "-out", cert, ...names]);
      await using own = await startHub(["--store", "memory", "--tls-cert", cert, "--tls-key", key]);
      const args = ["bench", "--url", own.url, ...quick, "--publish", "20", "--json"];
      const trusting = await runCli(args, { env: { NODE_EXTRA_CA_CERTS: cert } });
      expect(JSON.parse(trusting.stdout)).toMatchObject({
        connections: { opened: 30, lost: 0 },
        published: { lost: 0 },
      });
      expect(trusting.code).toBe(0);
      const untrusting = await runCli(args);
      expect(JSON.parse(untrusting.stdout)).toMatchObject({
        connections: { opened: 0, failed: 30 },
        failures: [{ kind: "network", detail: expect.stringMatching(/CERT/), count: 30 }],
      });
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});

test("a server that is none of ours, with a header of one's own", async () => {
  const server = http.createServer((request, response) => {
    if (request.headers.cookie !== "a=b") return response.writeHead(401).end();
    response.writeHead(200, { "content-type": "text/event-stream" });
    const timer = setInterval(() => response.write("data: tick\n\n"), 20);
    response.on("close", () => clearInterval(timer));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/any/path?x=1`;
    const { code, stdout } = await bench(url, ...quick, "--header", "Cookie: a=b", "--json");
    const report = JSON.parse(stdout);
    expect(code).toBe(0);
    expect(report).toMatchObject({ connections: { opened: 30, lost: 0 }, latencyMs: null, published: null });
    expect(report.eventsPerSecond).toBeGreaterThan(30 * 20);
    const without = await bench(url, ...quick);
    expect(without.code).toBe(1);
    expect(without.stdout).toMatch(/^ +30 answered with status: 401$/m);
  } finally {
    server.closeAllConnections();
    server.close();
  }
});

test("Ctrl-C ends it with the report so far, also while it opens", async () => {
  for (const ramp of ["0ms", "1s"]) {
    await using load = startCli(["bench", "--url", hub.url, "--connections", "20", "--ramp", ramp, "--channel", ramp]);
    await until("a stream is open", async () => {
      const { connections } = (await (await fetch(`${hub.url}/connections`)).json()) as { connections: unknown[] };
      return connections.length > 0;
    });
    load.kill("SIGINT");
    expect(await load.ended).toEqual({ code: 0, signal: null });
    expect(load.stdout()).toMatch(
      /^time +[\d.]+ s(?: to open, [\d.]+ s measured, interrupted|, interrupted while opening)$/m,
    );
    expect(load.stdout()).toMatch(/^connections +\d+ of 20 opened, 0 failed, 0 lost$/m);
  }
});

test("too few open files are said before anything is opened", async () => {
  const command = `ulimit -n 200 && exec "${process.execPath}" "${bin}" bench --url ${hub.url} --threads 1`;
  const { code, stdout, stderr } = await runCommand("sh", ["-c", command]);
  expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
  expect(stderr).toBe(
    "millrace-hub: 1000 connections need 1060 open files, and this process may have 200: raise it with ulimit -n 1060, or give --connections 140\n",
  );
});

test.each([
  [["--connections", "0"], /--connections is "0": it should be more than 0/],
  [["--duration", "5x"], /--duration is "5x": it should be a time such as/],
  [["--ramp", "soon"], /--ramp is "soon": it should be auto, or a time such as/],
  [["--header", "secret"], /--header is not valid: it should be a header such as/],
  [["--url", "localhost:4000"], /--url is not valid: it should be an address such as/],
  [["--publish", "5", "--channel", "a/*"], /--publish needs the name of one channel, not "a\/\*"/],
  [["--url", "http://127.0.0.1:1/stream", "--publish", "5"], /--publish needs a hub of Millrace/],
])("%j is an error in one line", async (args, message) => {
  const { code, stdout, stderr } = await runCli(["bench", ...args]);
  expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
  expect(stderr).toMatch(/^millrace-hub: [^\n]+\n$/);
  expect(stderr).toMatch(message);
});
