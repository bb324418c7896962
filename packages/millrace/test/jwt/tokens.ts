import { createHmac, generateKeyPairSync, type KeyObject } from "node:crypto";
import { SignJWT } from "jose";

export const secret = "a secret of the tests, 32 bytes or more";
export const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
export const otherRsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
export const ec = generateKeyPairSync("ec", { namedCurve: "P-256" });
export const ed25519 = generateKeyPairSync("ed25519");

export const pem = (key: KeyObject): string => key.export({ type: "spki", format: "pem" }) as string;

export const inSeconds = (seconds: number): number => Math.floor(Date.now() / 1000) + seconds;

interface Signing {
  readonly key?: KeyObject | Uint8Array;
  readonly alg?: string;
  readonly header?: Record<string, unknown>;
}

/** A token that is good for a minute, unless its claims say otherwise. A claim that is undefined is left out. */
export function sign(
  claims: Record<string, unknown> = {},
  { key, alg = "HS256", header = {} }: Signing = {},
): Promise<string> {
  return new SignJWT({ sub: "ann", exp: inSeconds(60), ...claims })
    .setProtectedHeader({ alg, ...header })
    .sign(key ?? new TextEncoder().encode(secret));
}

const part = (value: unknown): string =>
  Buffer.from(typeof value === "string" ? value : JSON.stringify(value)).toString("base64url");

/** A token as an attacker writes it: any header, and an HMAC with anything as its key, or no signature. */
export function forge(header: object, claims: object | string, key?: string): string {
  const signed = `${part(header)}.${part(claims)}`;
  return `${signed}.${key === undefined ? "" : createHmac("sha256", key).update(signed).digest("base64url")}`;
}

export const bearer = (token: string) => ({ headers: { authorization: `Bearer ${token}` } });
