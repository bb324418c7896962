import { createSecretKey, generateKeyPairSync } from "node:crypto";
import { describe, expect, test } from "vitest";
import { type JwtOptions, jwt } from "../../src/jwt/index.js";
import { MillraceError } from "../../src/protocol/index.js";
import { ec, ed25519, pem, rsa, secret } from "./tokens.js";

const bytes = (length: number) => new Uint8Array(length).fill(7);
const key = pem(rsa.publicKey);
const weak = generateKeyPairSync("rsa", { modulusLength: 1024 }).publicKey;
const x25519 = generateKeyPairSync("x25519").publicKey;
const koblitz = generateKeyPairSync("ec", { namedCurve: "secp256k1" }).publicKey;
const pss = generateKeyPairSync("rsa-pss", { modulusLength: 2048 }).publicKey;

describe("jwt refuses at once", () => {
  test.each<[string, unknown, RegExp]>([
    ["no key", {}, /one of key, secret and jwks: 0/],
    ["a secret that was not set", { secret: undefined }, /one of key, secret and jwks: 0/],
    ["two keys", { key, secret }, /one of key, secret and jwks: 2/],
    ["a secret shorter than its hash", { secret: "x".repeat(31) }, /31 bytes: HS256 needs 32/],
    ["… for HS384", { secret: bytes(47), algorithms: ["HS384"] }, /47 bytes: HS384 needs 48/],
    ["… for one of several", { secret: bytes(63), algorithms: ["HS256", "HS512"] }, /63 bytes: .*HS512 needs 64/],
    ["a public key as a secret", { secret: key }, /public key as `key`/],
    ["… as bytes", { secret: Buffer.from(key) }, /public key as `key`/],
    ["a secret of another type", { secret: 12345678 }, /neither text nor bytes/],
    ["none", { key, algorithms: ["none"] }, /"none".*RS256/],
    ["none for a secret", { secret, algorithms: ["HS256", "none"] }, /"none".*HS256/],
    ["HS256 with a public key", { key, algorithms: ["RS256", "HS256"] }, /"HS256".*RS256/],
    ["HS256 with a key set", { jwks: { keys: [] }, algorithms: ["HS256"] }, /"HS256".*RS256/],
    ["RS256 with a secret", { secret, algorithms: ["RS256"] }, /"RS256".*HS256/],
    ["RS256 with an EC key", { key: pem(ec.publicKey), algorithms: ["RS256"] }, /"RS256".*ES256/],
    ["no algorithm", { key, algorithms: [] }, /algorithms/],
    ["a text of algorithms", { key, algorithms: "RS256" }, /algorithms/],
    ["a private key", { key: rsa.privateKey }, /not a public key/],
    ["… in PEM", { key: rsa.privateKey.export({ type: "pkcs8", format: "pem" }) }, /not a public key/],
    ["… as a JWK", { key: rsa.privateKey.export({ format: "jwk" }) }, /not a public key/],
    ["a secret KeyObject", { key: createSecretKey(bytes(32)) }, /as `secret`/],
    ["a text that is no key", { key: "hello" }, /not a public key/],
    ["an empty JWK", { key: {} }, /not a public key/],
    ["null", { key: null }, /not a public key/],
    ["RSA of 1,024 bits", { key: weak }, /1024 bits.*2048/],
    ["a key that signs nothing", { key: x25519 }, /x25519/],
    ["another curve", { key: koblitz }, /secp256k1/],
    ["RSA-PSS parameters", { key: pss }, /rsa-pss/],
    ["a JWK's other alg", { key: { ...rsa.publicKey.export({ format: "jwk" }), alg: "HS256" } }, /"HS256".*RS256/],
    ["a key set over plain http", { jwks: "http://login.example/jwks.json" }, /https/],
    ["… of a name that only looks like loopback", { jwks: "http://localhost.evil.example/" }, /https/],
    ["a key set that is a file", { jwks: "file:///etc/passwd" }, /https/],
    ["a key set with a password", { jwks: "https://me:pw@login.example/jwks.json" }, /password/],
    ["a relative key set", { jwks: "/jwks.json" }, /https/],
    ["a key set without keys", { jwks: {} }, /JWK set/],
    ["an issuer that was not set", { secret, issuer: undefined }, /issuer.*undefined/],
    ["an audience that was not set", { secret, audience: undefined }, /audience.*undefined/],
    ["an empty audience", { secret, audience: [] }, /audience/],
    ["a cookie that is none", { secret, cookie: "a;b" }, /cookie.*"a;b"/],
    ["an empty cookie", { secret, cookie: "" }, /cookie/],
    ["a clock that is nobody's", { secret, clockToleranceMs: 300_001 }, /clockToleranceMs.*300001.*300000/],
    ["a clock that is text", { secret, clockToleranceMs: "5" }, /clockToleranceMs/],
  ])("%s", (_what, options, message) => {
    const make = () => jwt(options as JwtOptions);
    expect(make).toThrow(MillraceError);
    expect(make).toThrow(expect.objectContaining({ code: "invalid_option", message: expect.stringMatching(message) }));
  });

  test("without a word of the secret", () => {
    expect.assertions(1);
    try {
      jwt({ secret: "hunter2" });
    } catch (error) {
      expect(String(error)).not.toContain("hunter2");
    }
  });
});

test.each<[string, JwtOptions]>([
  ["a secret in bytes", { secret: bytes(64), algorithms: ["HS256", "HS384", "HS512"] }],
  ["PEM", { key }],
  ["a KeyObject", { key: ed25519.publicKey }],
  ["a JWK", { key: ec.publicKey.export({ format: "jwk" }) }],
  ["other algorithms of its kind", { key, algorithms: ["RS256", "PS512"] }],
  ["a key set by https", { jwks: "https://login.example/jwks.json" }],
  ["a key set on loopback", { jwks: new URL("http://127.0.0.1:1/jwks.json") }],
])("jwt takes %s", (_what, options) => {
  expect(jwt(options)).toBeTypeOf("function");
});
