import http from "node:http";
import { inspect } from "node:util";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type JwtOptions, jwt } from "../../src/jwt/index.js";
import { type Call, type Form, forms, json, listen, open, start, until } from "../http/support/index.js";
import { bearer, ec, ed25519, forge, inSeconds, otherRsa, pem, rsa, secret, sign } from "./tokens.js";

const serve = (form: Form, options: Partial<JwtOptions> = { secret }) =>
  start(form, { authorize: jwt(options.key || options.jwks ? options : { secret, ...options }) });

type Served = Awaited<ReturnType<typeof serve>>;

const identities = ({ hub }: Served) => [...hub.connections()].map(({ identity }) => identity);

/** A refusal has its status, its code, and nothing of the token in it. */
async function refused(hub: Served, call: Call, status: 401 | 403, detail = /./) {
  const answer = await hub.call("/events", call);
  const text = await answer.text();
  expect(answer.status, text).toBe(status);
  expect(JSON.parse(text)).toMatchObject({
    code: status === 401 ? "unauthorized" : "forbidden",
    detail: expect.stringMatching(detail),
  });
  for (const token of Object.values(call.headers ?? {}).flatMap((value) => value.split(/[ .;=]+/))) {
    if (token.length > 8) expect(text).not.toContain(token);
  }
  expect(hub.hub.stats().opened).toBe(0);
  expect(hub.errors).toEqual([]);
}

describe.each(forms)("a token over $name", (form) => {
  test("names the user and the roles, and they read what is theirs, from the past too", async () => {
    await using hub = await serve(form);
    const ids = await hub.hub.publish([
      { channel: "general", data: "0" },
      { channel: "@role/editor", data: "for editors" },
      { channel: "@role/admin", data: "for admins" },
      { channel: "@user/ann", data: "for ann" },
      { channel: "@user/bob", data: "for bob" },
    ]);
    const token = await sign({ roles: ["editor"] });
    const { events } = await open(hub, `/events?lastEventId=${ids[0]}`, bearer(token));
    expect(await events.data(2)).toEqual(["for editors", "for ann"]);
    const exp = identities(hub)[0]?.expiresAtMs as number;
    expect(exp % 1000).toBe(0);
    expect(identities(hub)).toEqual([{ user: "ann", roles: ["editor"], expiresAtMs: exp }]);
  });

  test("none is 401", async () => {
    await using hub = await serve(form);
    await refused(hub, {}, 401, /Authorization: Bearer/);
    await refused(hub, { headers: { authorization: "Basic YW5uOnNlY3JldA==" } }, 401);
    await refused(hub, { headers: { authorization: "Bearer" } }, 401);
    await refused(hub, { headers: { cookie: `token=${await sign()}` } }, 401);
    const answer = await hub.call("/events");
    expect(answer.header("www-authenticate")).toBe("Bearer");
  });

  test("an expired one is 401, and a forged one that has expired 403", async () => {
    await using hub = await serve(form);
    await refused(hub, bearer(await sign({ exp: inSeconds(-1) })), 401, /expired/);
    await refused(hub, bearer(forge({ alg: "HS256" }, { sub: "ann", exp: 1 }, "guess")), 403);
  });

  test("a bad one is 403", async () => {
    await using hub = await serve(form, { secret, issuer: "https://login.example", audience: ["app", "shop"] });
    const good = { iss: "https://login.example", aud: "app" };
    const whole = await sign(good);
    const [head, body, signature] = whole.split(".") as [string, string, string];
    const flipped = `${signature[0] === "A" ? "B" : "A"}${signature.slice(1)}`;
    const other = Buffer.from(JSON.stringify({ sub: "root", exp: inSeconds(60), ...good })).toString("base64url");
    const bad: [string | Promise<string>, RegExp][] = [
      ["not-a-token", /malformed/],
      ["a.b.c", /malformed/],
      ["a b", /malformed/],
      [`${whole}.x`, /malformed/],
      [`${head}.${body}.${flipped}`, /signed/],
      [`${head}.${other}.${signature}`, /signed/],
      [`${head}.${body}.`, /signed/],
      [sign(good, { key: new TextEncoder().encode("another secret that is long enough") }), /signed/],
      [forge({ alg: "none" }, { sub: "root", exp: inSeconds(60), ...good }), /signed/],
      [forge({ alg: "None" }, { sub: "root", exp: inSeconds(60), ...good }), /signed/],
      [forge({ alg: "HS256" }, "no claims", secret), /malformed/],
      [forge({ alg: "HS256", crit: ["exp"], exp: 1 }, { ...good, exp: inSeconds(60) }, secret), /signed/],
      [forge({ alg: "HS256", crit: ["b64"], b64: false }, { ...good, exp: inSeconds(60) }, secret), /signed/],
      [sign(good, { alg: "HS512", key: new Uint8Array(64) }), /signed/],
      [sign({ ...good, aud: "bank" }), /claim aud/],
      [sign({ iss: good.iss }), /claim aud/],
      [sign({ ...good, iss: "https://evil.example" }), /claim iss/],
      [sign({ aud: "app" }), /claim iss/],
      [sign({ ...good, nbf: inSeconds(30) }), /claim nbf/],
      [sign({ ...good, exp: undefined }), /claim exp/],
      [forge({ alg: "HS256" }, { ...good, exp: "2030" }, secret), /claim exp/],
      [sign({ ...good, sub: 42 }), /claim sub/],
      [sign({ ...good, sub: "" }), /claim sub/],
      [sign({ ...good, roles: "admin" }), /claim roles/],
      [sign({ ...good, roles: ["admin", 1] }), /claim roles/],
    ];
    for (const [token, detail] of bad) await refused(hub, bearer(await token), 403, detail);
    await open(hub, "/events", bearer(await sign({ ...good, aud: ["other", "shop"] })));
  });

  test("one for an audience is not for a hub that has none", async () => {
    await using hub = await serve(form);
    await refused(hub, bearer(await sign({ aud: "app" })), 403, /claim aud/);
  });

  test("the scheme's letters may be of any case", async () => {
    await using hub = await serve(form);
    await open(hub, "/events", { headers: { authorization: `bEARER  ${await sign()}` } });
  });

  test("its stream ends within its last second, and its client may come back with another", async () => {
    await using hub = await serve(form);
    const exp = inSeconds(2);
    const { events } = await open(hub, "/events", bearer(await sign({ exp })));
    await hub.hub.publish({ data: "in time" });
    expect(await events.data(1)).toEqual(["in time"]);
    const last = (await events.rest()).at(-1);
    expect(Date.now()).toBeGreaterThan(exp * 1000 - 260); // the hub looks four times a second
    expect(Date.now()).toBeLessThan((exp + 1) * 1000);
    expect(last?.type).toBe("millrace.close");
    expect(JSON.parse(last?.data ?? "")).toEqual({ reason: "expired", reconnect: true });
    await until("it is forgotten", () => hub.hub.stats().connections === 0);
    const again = await open(hub, "/events", {
      headers: { authorization: `Bearer ${await sign()}`, "last-event-id": last?.lastEventId as string },
    });
    await hub.hub.publish({ data: "again" });
    expect(await again.events.data(1)).toEqual(["again"]);
  });
});

const [http1, , fetchForm] = forms as [Form, Form, Form];

describe("keys", () => {
  test.each([
    ["RSA", rsa, "RS256", "PS256"],
    ["P-256", ec, "ES256", undefined],
    ["Ed25519", ed25519, "EdDSA", undefined],
  ] as const)("%s: its own algorithm, and no other", async (_name, pair, alg, other) => {
    await using hub = await serve(http1, { key: pem(pair.publicKey) });
    if (other) await refused(hub, bearer(await sign({}, { key: pair.privateKey, alg: other })), 403, /signed/);
    await refused(hub, bearer(await sign()), 403, /signed/);
    await open(hub, "/events", bearer(await sign({}, { key: pair.privateKey, alg })));
    expect(identities(hub)).toMatchObject([{ user: "ann" }]);
  });

  test("the text of a public key is no secret: HS256 with it is refused", async () => {
    const publicPem = pem(rsa.publicKey);
    const jwk = { ...rsa.publicKey.export({ format: "jwk" }), kid: "1" };
    for (const options of [{ key: publicPem }, { key: rsa.publicKey }, { jwks: { keys: [jwk] } }]) {
      await using hub = await serve(http1, options);
      for (const text of [publicPem, publicPem.trim(), JSON.stringify(jwk), jwk.n as string]) {
        for (const header of [{ alg: "HS256" }, { alg: "HS256", kid: "1" }]) {
          const token = forge(header, { sub: "root", exp: inSeconds(60) }, text);
          await refused(hub, bearer(token), 403, /signed/);
        }
      }
    }
  });

  test("nothing in a token leads to a key", async () => {
    let asked = 0;
    const server = http.createServer((_request, response) => {
      asked++;
      const key = { ...otherRsa.publicKey.export({ format: "jwk" }), kid: "evil", alg: "RS256" };
      response.end(JSON.stringify({ keys: [key] }));
    });
    const url = `http://127.0.0.1:${await listen(server)}/`;
    const jwk = rsa.publicKey.export({ format: "jwk" });
    try {
      for (const options of [{ key: rsa.publicKey }, { jwks: { keys: [{ ...jwk, kid: "good" }] } }]) {
        await using hub = await serve(http1, options);
        for (const header of [
          { jku: url, kid: "evil" },
          { x5u: url },
          { jwk: otherRsa.publicKey.export({ format: "jwk" }) },
          { kid: url },
          { kid: "../../../dev/null" },
        ]) {
          const token = await sign({ iss: url }, { key: otherRsa.privateKey, alg: "RS256", header });
          await refused(hub, bearer(token), 403, /signed/);
        }
      }
      expect(asked).toBe(0);
    } finally {
      server.close();
    }
  });

  test("a key set by its URL: a new key is found, and strangers cannot make us ask again and again", async () => {
    const published = [{ ...rsa.publicKey.export({ format: "jwk" }), kid: "1", alg: "RS256", use: "sig" }];
    let asked = 0;
    const server = http.createServer((_request, response) => {
      asked++;
      response.setHeader("content-type", "application/json").end(JSON.stringify({ keys: published }));
    });
    const port = await listen(server);
    try {
      await using hub = await serve(fetchForm, { jwks: `http://127.0.0.1:${port}/jwks.json` });
      const one = { key: rsa.privateKey, alg: "RS256", header: { kid: "1" } };
      const forged = { key: otherRsa.privateKey, alg: "RS256", header: { kid: "1" } };
      await refused(hub, bearer(await sign({}, forged)), 403, /signed/);
      await open(hub, "/events", bearer(await sign({}, one)));
      expect(asked).toBe(1);
      for (let at = 0; at < 10; at++) {
        const unknown = { ...forged, header: { kid: `unknown-${at}` } };
        expect((await hub.call("/events", bearer(await sign({}, unknown)))).status).toBe(403);
      }
      expect(asked).toBe(1);
    } finally {
      server.close();
    }
  });

  test("a key set that cannot be read lets nobody in, and the log says why", async () => {
    const server = http.createServer((_request, response) => response.writeHead(302, { location: "/other" }).end());
    const port = await listen(server);
    try {
      await using hub = await serve(fetchForm, { jwks: `http://127.0.0.1:${port}/jwks.json` });
      const token = await sign({}, { key: rsa.privateKey, alg: "RS256" });
      const answer = await hub.call("/events", bearer(token));
      expect(answer.status).toBe(500);
      expect(await answer.text()).not.toContain(token.slice(0, 20));
      expect(hub.errors).toEqual([expect.objectContaining({ message: expect.stringContaining("200 OK") })]);
      expect(inspect(hub.errors, { depth: 9, showHidden: true })).not.toContain(token.slice(0, 20));
      expect(hub.hub.stats().opened).toBe(0);
    } finally {
      server.close();
    }
  });
});

describe("what a token may", () => {
  test("by default it subscribes, and nothing else", async () => {
    await using hub = await start(http1, {
      authorize: jwt({ secret }),
      metrics: async () => ({ type: "text/plain", text: "1" }),
    });
    const { headers } = bearer(await sign());
    await open(hub, "/events?channel=a&channel=*", { headers });
    await open(hub, "/events", json({ channels: ["b/*"] }, headers));
    expect((await hub.call("/publish", json({ data: 1 }, headers))).status).toBe(403);
    expect((await hub.call("/publish", json({ data: 1 }))).status).toBe(401);
    expect((await hub.call("/connections", { headers })).status).toBe(403);
    expect((await hub.call("/metrics", { headers })).status).toBe(403);
    expect(hub.hub.log.tail).toBe(0);
  });

  test("`can` decides with the claims and the channels, and only true is yes", async () => {
    const asked: unknown[] = [];
    await using hub = await serve(http1, {
      can: async ({ writes, reads }, { action, channels }) => {
        asked.push([action, channels]);
        if (action === "subscribe") return channels.every((channel) => (reads as string[]).includes(channel));
        return (action === "publish" && writes) as boolean;
      },
    });
    const reader = bearer(await sign({ reads: ["a", "b/*"], writes: "yes" })).headers;
    const writer = bearer(await sign({ reads: [], writes: true })).headers;
    await open(hub, "/events?channel=a&channel=b/*", { headers: reader });
    expect((await hub.call("/events?channel=a&channel=c", { headers: reader })).status).toBe(403);
    expect((await hub.call("/publish", json({ channel: "x", data: 1 }, reader))).status).toBe(403);
    expect((await hub.call("/publish", json({ channel: "x", data: 1 }, writer))).status).toBe(200);
    expect(asked).toEqual([
      ["subscribe", ["a", "b/*"]],
      ["subscribe", ["a", "c"]],
      ["publish", ["x"]],
      ["publish", ["x"]],
    ]);
  });

  test("an error of `can` lets nobody in", async () => {
    await using hub = await serve(http1, {
      can: () => {
        throw new Error("the database is away");
      },
    });
    const answer = await hub.call("/events", bearer(await sign()));
    expect(answer.status).toBe(500);
    expect(await answer.text()).not.toContain("database");
    expect(hub.errors).toHaveLength(1);
  });

  test("user and roles come from other claims, or are worked out", async () => {
    await using named = await serve(http1, { user: "email", roles: "https://app.example/groups" });
    const token = await sign({ email: "ann@app.example", "https://app.example/groups": ["a"] });
    await open(named, "/events", bearer(token));
    expect(identities(named)).toMatchObject([{ user: "ann@app.example", roles: ["a"] }]);
    await using made = await serve(http1, {
      user: ({ sub }) => `tenant-1/${sub}`,
      roles: ({ scope }) => String(scope).split(" "),
    });
    await open(made, "/events", bearer(await sign({ scope: "read write" })));
    expect(identities(made)).toMatchObject([{ user: "tenant-1/ann", roles: ["read", "write"] }]);
    await using nobody = await serve(http1);
    await open(nobody, "/events", bearer(await sign({ sub: undefined })));
    expect(identities(nobody)).toEqual([{ expiresAtMs: expect.any(Number) }]);
  });

  test("without an end only where that is allowed; and clocks may be off where that is said", async () => {
    await using hub = await serve(http1, { allowUnlimited: true, clockToleranceMs: 30_000 });
    await open(hub, "/events", bearer(await sign({ exp: undefined })));
    await open(hub, "/events", bearer(await sign({ nbf: inSeconds(25) })));
    const exp = inSeconds(-10);
    await open(hub, "/events", bearer(await sign({ exp })));
    expect(identities(hub)[0]).toEqual({ user: "ann" });
    expect(identities(hub)[2]).toEqual({ user: "ann", expiresAtMs: exp * 1000 + 30_000 });
    expect((await hub.call("/events", bearer(await sign({ exp: inSeconds(-31) })))).status).toBe(401);
  });
});

describe("a cookie", () => {
  const page = "https://app.example";
  const withCookie = async (cookie: string, headers = {}) => ({ headers: { cookie, ...headers } });

  test("carries the token where it is named, behind the header", async () => {
    await using hub = await serve(http1, { cookie: "__Host-token" });
    await refused(hub, await withCookie("a=b; xtoken=1"), 401, /cookie/);
    await refused(hub, await withCookie("__Host-token="), 401);
    await refused(hub, await withCookie("__Host-token=junk"), 403, /malformed/);
    await refused(hub, await withCookie(`x__Host-token=${await sign()}`), 401);
    const bob = `__Host-token=${await sign({ sub: "bob" })}`;
    const forged = { ...bearer("junk").headers };
    await refused(hub, await withCookie(bob, forged), 403);
    await open(hub, "/events", await withCookie(`theme=dark; ${bob}; other=1`));
    await open(hub, "/events", await withCookie(bob, { authorization: "Basic YTpi" }));
    await open(hub, "/events", await withCookie(bob, bearer(await sign({ sub: "ann" })).headers));
    expect(identities(hub).map(({ user }) => user)).toEqual(["bob", "bob", "ann"]);
  });

  test("is of no use to pages of other origins: they change nothing, and may not read", async () => {
    const can = () => true;
    await using hub = await start(http1, { authorize: jwt({ secret, cookie: "token", can }), corsOrigins: [page] });
    const cookie = `token=${await sign()}`;
    const evil = { cookie, origin: "https://evil.example" };
    const write = await hub.call("/publish", json({ data: 1 }, evil));
    expect(write.status).toBe(403);
    expect((await write.problem()).code).toBe("forbidden_origin");
    expect((await hub.call("/connections/x", { method: "DELETE", headers: evil })).status).toBe(403);
    const read = await open(hub, "/events", { headers: evil });
    expect(read.header("access-control-allow-origin")).toBeUndefined();
    expect((await hub.call("/publish", json({ data: 1 }, { cookie, origin: page }))).status).toBe(200);
  });

  test("where any origin may read, browsers send no cookie: the preflight does not allow it", async () => {
    await using hub = await start(http1, { authorize: jwt({ secret, cookie: "token" }), corsOrigins: ["*"] });
    const headers = { origin: "https://evil.example", "access-control-request-method": "POST" };
    const preflight = await hub.call("/publish", { method: "OPTIONS", headers });
    expect(preflight.header("access-control-allow-origin")).toBe("*");
    expect(preflight.header("access-control-allow-credentials")).toBeUndefined();
    // And what needs no preflight is no publish.
    const form = { ...headers, cookie: `token=${await sign()}`, "content-type": "text/plain" };
    expect((await hub.call("/publish", { method: "POST", headers: form, body: '{"data":1}' })).status).toBe(415);
  });
});

test("whatever comes as a token is refused, and none of it is an error of ours", async () => {
  const request = (token: string) => ({
    ...{ method: "GET", path: "/events", query: "", remoteAddress: undefined, raw: undefined },
    header: (name: string) => (name === "authorization" ? `Bearer ${token}` : undefined),
  });
  const names = fc.constantFrom("alg", "kid", "crit", "b64", "typ", "exp", "aud", "sub", "jwk", "__proto__");
  const algorithms = fc.constantFrom("RS256", "HS256", "ES256", "EdDSA", "none", "PS256", "__proto__");
  const value = fc.oneof(fc.jsonValue(), fc.dictionary(names, fc.jsonValue()));
  const header = fc.oneof(
    value,
    fc.tuple(fc.dictionary(names, fc.jsonValue()), algorithms).map(([head, alg]) => ({ ...head, alg })),
  );
  const part = (json: fc.Arbitrary<unknown>) =>
    json.map((value) => Buffer.from(JSON.stringify(value)).toString("base64url"));
  const tokens = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.tuple(part(header), part(value), fc.base64String()).map((parts) => parts.join(".")),
  );
  const jwks = { keys: [{ ...rsa.publicKey.export({ format: "jwk" }), kid: "1" }] };
  const ways = [{ secret }, { key: rsa.publicKey }, { key: ec.publicKey }, { jwks }].map((options) => jwt(options));
  await fc.assert(
    fc.asyncProperty(tokens, async (token) => {
      for (const authorize of ways) {
        const answer = await authorize(request(token), { action: "subscribe", channels: ["general"] });
        expect("refuse" in answer && [401, 403].includes(answer.refuse)).toBe(true);
      }
    }),
    { numRuns: 500 },
  );
});
