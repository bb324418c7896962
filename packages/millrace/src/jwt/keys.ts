import { createPublicKey, type JsonWebKey, KeyObject } from "node:crypto";
import { createLocalJWKSet, createRemoteJWKSet, type JSONWebKeySet, type JWTVerifyGetKey } from "jose";
import { MillraceError } from "../protocol/index.js";

/** Exactly one of them. */
export interface KeyOptions {
  /**
   * The issuer's public key: PEM text (`BEGIN PUBLIC KEY`, or a certificate), a JWK, or a `KeyObject`. RSA of at least
   * 2,048 bits, P-256, P-384, P-521, or Ed25519.
   */
  readonly key?: string | JsonWebKey | KeyObject;
  /**
   * A secret that is shared with the issuer: text (its UTF-8 bytes are taken) or bytes. At least as long as the hash:
   * 32 bytes for HS256, 48 for HS384, 64 for HS512 (RFC 7518, 3.2).
   */
  readonly secret?: string | Uint8Array;
  /**
   * The issuer's JWK set: its URL (https; http on loopback), which is read when it is first needed, again after 10
   * minutes, and for a key that is not known at most every 30 s; or the set itself.
   */
  readonly jwks?: string | URL | { readonly keys: readonly object[] };
  /**
   * The algorithms that are accepted. Each must fit the key. Default: the one that is usual for it: RS256 for RSA (or
   * what a JWK's `alg` says), ES256, ES384, ES512 by the curve, EdDSA for Ed25519, HS256 for a secret; for a JWK set
   * those of public keys, by each key's type.
   */
  readonly algorithms?: readonly string[];
}

export interface Keys {
  readonly key: KeyObject | Uint8Array | JWTVerifyGetKey;
  readonly algorithms: string[];
}

/** A key, the algorithms that it can be used with, and those that are taken when none are named. */
interface Fit {
  readonly key: Keys["key"];
  readonly possible: readonly string[];
  readonly usual: readonly string[];
}

const hashBytes = new Map([
  ["HS256", 32],
  ["HS384", 48],
  ["HS512", 64],
]);
const rsa = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"];
const ed25519 = ["EdDSA", "Ed25519"]; // RFC 9864 gave it its second name
const byCurve = new Map([
  ["prime256v1", "ES256"],
  ["secp384r1", "ES384"],
  ["secp521r1", "ES512"],
]);
const leastRsaBits = 2048;

/**
 * The algorithms are bound to the key before any token is seen. Where the token could choose, one "signed" by HS256 with
 * the text of the public key passed (CVE-2015-9235), and so did one with `none`.
 * @throws MillraceError `invalid_option`
 */
export function keysOf(options: KeyOptions): Keys {
  const { key, possible, usual } = fitOf(options);
  const { algorithms = usual } = options;
  if (!Array.isArray(algorithms) || algorithms.length === 0) throw invalid("algorithms names none: leave it out");
  for (const algorithm of algorithms) {
    if (possible.includes(algorithm)) continue;
    throw invalid(`algorithms holds ${JSON.stringify(algorithm)}: with this key it may hold ${possible.join(", ")}`);
  }
  if (key instanceof Uint8Array) {
    const least = Math.max(...algorithms.map((algorithm) => hashBytes.get(algorithm) ?? Infinity));
    if (key.length < least) {
      throw invalid(`secret has ${key.length} bytes: ${algorithms.join(", ")} needs ${least} random ones or more`);
    }
  }
  return { key, algorithms: [...algorithms] };
}

function fitOf({ key, secret, jwks }: KeyOptions): Fit {
  const given = [key, secret, jwks].filter((value) => value !== undefined);
  if (given.length !== 1) throw invalid(`give one of key, secret and jwks: ${given.length} of them are given`);
  if (secret !== undefined) return fitOfSecret(secret);
  if (key !== undefined) return fitOfKey(key);
  const usual = ["RS256", ...byCurve.values(), ...ed25519];
  return { key: keySet(jwks), possible: [...rsa, ...byCurve.values(), ...ed25519], usual };
}

function fitOfSecret(secret: unknown): Fit {
  const bytes = typeof secret === "string" ? new TextEncoder().encode(secret) : secret;
  if (!(bytes instanceof Uint8Array)) throw invalid("secret is neither text nor bytes");
  if (/^\s*-----BEGIN /.test(new TextDecoder().decode(bytes.subarray(0, 64)))) {
    throw invalid("secret is a key in PEM, which is no secret: give a public key as `key`");
  }
  return { key: Uint8Array.from(bytes), possible: [...hashBytes.keys()], usual: ["HS256"] };
}

function fitOfKey(given: string | JsonWebKey | KeyObject): Fit {
  const key = publicKey(given);
  const { modulusLength = 0, namedCurve = "" } = key.asymmetricKeyDetails ?? {};
  switch (key.asymmetricKeyType) {
    case "rsa": {
      if (modulusLength < leastRsaBits) {
        throw invalid(`key is RSA of ${modulusLength} bits: it must have ${leastRsaBits} or more`);
      }
      const { alg } = given instanceof KeyObject || typeof given === "string" ? {} : given;
      return { key, possible: rsa, usual: [typeof alg === "string" ? alg : "RS256"] };
    }
    case "ec": {
      const algorithm = byCurve.get(namedCurve);
      if (algorithm !== undefined) return { key, possible: [algorithm], usual: [algorithm] };
      break;
    }
    case "ed25519":
      return { key, possible: ed25519, usual: ed25519 };
  }
  throw invalid(`key is ${key.asymmetricKeyType} ${namedCurve}: it may be RSA, P-256, P-384, P-521 or Ed25519`);
}

/** Whoever verifies needs no private key; one that is here by mistake can be stolen from here. */
function publicKey(given: string | JsonWebKey | KeyObject): KeyObject {
  const what = "key is not a public key: give PEM text (BEGIN PUBLIC KEY), a JWK or a KeyObject";
  if (given instanceof KeyObject) {
    if (given.type === "public") return given;
    throw invalid(given.type === "secret" ? "key is a secret: give its bytes as `secret`" : what);
  }
  const secret = typeof given === "string" ? given.includes("PRIVATE KEY") : given?.d !== undefined;
  if (secret) throw invalid(what);
  try {
    return createPublicKey(typeof given === "string" ? given : { key: given, format: "jwk" });
  } catch (cause) {
    throw invalid(what, { cause });
  }
}

function keySet(jwks: KeyOptions["jwks"]): JWTVerifyGetKey {
  if (typeof jwks === "string" || jwks instanceof URL) return createRemoteJWKSet(keySetUrl(String(jwks)));
  try {
    return createLocalJWKSet(jwks as JSONWebKeySet);
  } catch (cause) {
    throw invalid('jwks is neither a URL nor a JWK set, such as { "keys": […] }', { cause });
  }
}

/** Whoever can change the set on its way can sign anything. */
function keySetUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const loopback = /^(?:localhost|127(?:\.\d+){3}|\[::1\])$/.test(url?.hostname ?? "");
  const safe = url?.protocol === "https:" || (url?.protocol === "http:" && loopback);
  if (url && safe && url.username === "" && url.password === "") return url;
  throw invalid("jwks is not an https URL without a password (on loopback http will do): nor may it be a relative one");
}

export const invalid = (message: string, options?: ErrorOptions): MillraceError =>
  new MillraceError("invalid_option", message, options);
