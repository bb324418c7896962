import { timingSafeEqual } from "node:crypto";
import type { AccessRequest, Action } from "millrace";
import { describe, expect, it, vi } from "vitest";
import { UsageError } from "../../src/cli/option.js";
import { type AccessOptions, checkBind, createAccess, isLoopback } from "../../src/serve/access.js";

vi.mock("node:crypto", async (original) => {
  const crypto = await original<typeof import("node:crypto")>();
  return { ...crypto, timingSafeEqual: vi.fn(crypto.timingSafeEqual) };
});

const loopback = ["127.0.0.1", "127.8.9.10", "::1", "localhost"];
const outside = [
  "0.0.0.0",
  "::",
  "10.0.0.1",
  "192.168.1.2",
  "hub.example.com",
  "localhost.example.com",
  "1127.0.0.1",
  "127.0.0.1.nip.io",
];

describe("which addresses are loopback", () => {
  it.each(loopback)("%s", (host) => expect(isLoopback(host)).toBe(true));
  it.each(outside)("not %s", (host) => expect(isLoopback(host)).toBe(false));
});

describe("where a hub may listen", () => {
  const closed = { apiKeys: [], allowAnonymous: false };

  it.each(loopback)("%s, without any decision", (host) => {
    expect(() => checkBind({ host, ...closed })).not.toThrow();
  });

  it.each(outside)("%s only with a key or --allow-anonymous", (host) => {
    expect(() => checkBind({ host, ...closed })).toThrow(UsageError);
    expect(() => checkBind({ host, ...closed })).toThrow(/^.* can be reached .*--api-key KEY.*--allow-anonymous/);
    expect(() => checkBind({ host, ...closed, apiKeys: ["k"] })).not.toThrow();
    expect(() => checkBind({ host, ...closed, allowAnonymous: true })).not.toThrow();
  });
});

const actions: readonly Action[] = ["publish", "subscribe", "metrics", "inspect"];

interface From {
  readonly host: string;
  readonly remoteAddress: string;
}
const here: From = { host: "127.0.0.1:4000", remoteAddress: "127.0.0.1" };

function ask(options: AccessOptions, action: Action, authorization?: string, from = here): "yes" | number {
  const headers = new Map([
    ["authorization", authorization],
    ["host", from.host],
  ]);
  const request: AccessRequest = {
    method: "GET",
    path: "/",
    query: "",
    remoteAddress: from.remoteAddress,
    header: (name) => headers.get(name.toLowerCase()),
    raw: undefined,
  };
  const answer = createAccess(options)(request, { action, channels: [] });
  if (answer instanceof Promise) throw new Error("it should answer at once");
  return "refuse" in answer ? answer.refuse : "yes";
}

const key = "correct-horse";
type Expected = "yes" | 401 | 403;
/** Answers for publish, subscribe, metrics and inspect. */
type Row = [bind: string, keys: string[], anonymous: boolean, none: Expected[], wrong: Expected[], right: Expected[]];

describe("who may do what", () => {
  const all = (expected: Expected): Expected[] => [expected, expected, expected, expected];
  const yes = all("yes");
  describe.each<Row>([
    ["127.0.0.1", [], false, yes, yes, yes],
    ["127.0.0.1", [], true, yes, yes, yes],
    ["127.0.0.1", [key], false, [401, "yes", "yes", 401], all(403), yes],
    ["0.0.0.0", [], true, ["yes", "yes", "yes", 403], ["yes", "yes", "yes", 403], ["yes", "yes", "yes", 403]],
    ["0.0.0.0", [key], false, all(401), all(403), yes],
    ["0.0.0.0", [key], true, [401, "yes", "yes", 401], all(403), yes],
    ["0.0.0.0", ["older", key], false, all(401), all(403), yes],
  ])("on %s, keys %j, --allow-anonymous %s", (host, apiKeys, allowAnonymous, none, wrong, right) => {
    const options = { host, apiKeys, allowAnonymous };
    const answers = (authorization?: string) => actions.map((action) => ask(options, action, authorization));

    it("without a key", () => expect(answers()).toEqual(none));
    it.each(["Bearer wrong", "Bearer", "Bearer ", `Basic ${key}`, key, `Bearer ${key} more`, `Bearer ${key}x`, ""])(
      "with %j",
      (authorization) => expect(answers(authorization)).toEqual(wrong),
    );
    it("with the key", () => {
      expect(answers(`Bearer ${key}`)).toEqual(right);
      expect(answers(`bearer   ${key}`)).toEqual(right);
    });
  });

  it.each<[what: string, from: From]>([
    ["a public name", { ...here, host: "push.example.com" }],
    ["a client that a proxy names", { ...here, remoteAddress: "198.51.100.7" }],
  ])("a hub on loopback that strangers reach under %s takes no publish from them without a decision", (_what, from) => {
    const answers = (options: Partial<AccessOptions>) =>
      actions.map((action) =>
        ask({ host: "127.0.0.1", apiKeys: [], allowAnonymous: false, ...options }, action, undefined, from),
      );
    expect(answers({})).toEqual([403, "yes", "yes", 403]);
    expect(answers({ allowAnonymous: true })).toEqual(["yes", "yes", "yes", 403]);
    expect(answers({ apiKeys: [key] })).toEqual([401, "yes", "yes", 401]);
  });

  it.each(["localhost", "localhost:4000", "[::1]:4000", "127.0.0.2", "app.localhost:80"])(
    "%s is this machine",
    (host) => {
      expect(
        ask({ host: "127.0.0.1", apiKeys: [], allowAnonymous: false }, "publish", undefined, { ...here, host }),
      ).toBe("yes");
    },
  );

  it("never says the key", () => {
    const access = createAccess({ host: "0.0.0.0", apiKeys: [key], allowAnonymous: false });
    const request = { header: () => "Bearer nearly-horse" } as unknown as AccessRequest;
    expect(JSON.stringify(access(request, { action: "publish", channels: [] }))).not.toMatch(/horse/);
  });

  it("compares in constant time, digests of one length", () => {
    const compare = vi.mocked(timingSafeEqual);
    compare.mockClear();
    expect(ask({ host: "0.0.0.0", apiKeys: [key], allowAnonymous: false }, "publish", "Bearer x")).toBe(403);
    expect(compare.mock.calls.map(([a, b]) => [a.byteLength, b.byteLength])).toEqual([[32, 32]]);
  });
});
