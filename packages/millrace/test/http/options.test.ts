import { expect, test } from "vitest";
import { createHub, MillraceError, type MillraceOptions } from "../../src/index.js";
import { type Form, forms, json, start } from "./support/index.js";

const [, , fetchForm] = forms as [Form, Form, Form];

test("a limit that is given as undefined has its default", async () => {
  const limits = { bodyBytes: undefined, channels: undefined } as unknown as MillraceOptions["limits"];
  await using hub = await start(fetchForm, { ...(limits ? { limits } : {}) });
  expect((await hub.call("/publish", json({ data: "x".repeat(1_100_000) }))).status).toBe(413);
  const many = Array.from({ length: 1001 }, (_, at) => `channel=${at}`).join("&");
  expect((await hub.call(`/events?${many}`)).status).toBe(400);
});

test.each<[string, MillraceOptions]>([
  ["heartbeatMs.*-1", { heartbeatMs: -1 }],
  ["heartbeatMs.*NaN", { heartbeatMs: Number.NaN }],
  ["retryMs.*Infinity", { retryMs: Infinity }],
  ["retryMs.*-1", { retryMs: -1 }],
  ["retryMs.*2147483648", { retryMs: 2 ** 31 }],
  ["maxAgeMs.*0", { maxAgeMs: 0 }],
  ["stallMs.*NaN", { stallMs: Number.NaN }],
  ["streamRate.*-5", { streamRate: -5 }],
  ['streamRate.*"fast"', { streamRate: "fast" as unknown as number }],
  ["limits.bodyBytes.*0", { limits: { bodyBytes: 0 } }],
  ["limits.publishRate.*NaN", { limits: { publishRate: Number.NaN } }],
  ['allowedHosts.*"https://hub.example"', { allowedHosts: ["https://hub.example"] }],
  ['allowedHosts.*"hub.example/x"', { allowedHosts: ["hub.example/x"] }],
  ['allowedHosts.*"\\*.example"', { allowedHosts: ["*.example"] }],
  ['allowedHosts.*""', { allowedHosts: [""] }],
  ['corsOrigins.*"app.example"', { corsOrigins: ["app.example"] }],
  ['corsOrigins.*"https://app.example/x"', { corsOrigins: ["https://app.example/x"] }],
  ['corsOrigins.*"https://\\*.example"', { corsOrigins: ["https://*.example"] }],
  ['corsOrigins.*"null"', { corsOrigins: ["null"] }],
])("refuses %s", (message, options) => {
  expect(() => createHub(options)).toThrow(MillraceError);
  expect(() => createHub(options)).toThrow(new RegExp(message));
});

test("heartbeats are off with 0 and with Infinity", async () => {
  for (const heartbeatMs of [0, Infinity]) {
    await using hub = await start(fetchForm, { heartbeatMs });
    expect((await hub.call("/events")).header("millrace-heartbeat-ms")).toBe("0");
  }
});

test("names and origins may be written as people write them", async () => {
  await using hub = await start(fetchForm, {
    allowedHosts: ["Hub.Example.", "proxy.example:8443"],
    corsOrigins: ["https://App.Example/", "https://b.example:443", "capacitor://localhost"],
  });
  const status = async (host: string) => (await hub.call("/health", { headers: { host } })).status;
  expect(await status("hub.example:1")).toBe(200);
  expect(await status("proxy.example:8443")).toBe(200);
  expect(await status("proxy.example:1")).toBe(403);
  for (const origin of ["https://app.example", "https://b.example", "capacitor://localhost"]) {
    const answer = await hub.call("/health", { headers: { host: "hub.example", origin } });
    expect(answer.header("access-control-allow-origin")).toBe(origin);
  }
});
