import { errors, jwtVerify } from "jose";
import type { Authorize, Refusal } from "../http/authorize.js";
import { checkNumber } from "../protocol/index.js";
import { invalid, type KeyOptions, keysOf } from "./keys.js";
import { tokenOf } from "./token.js";

/** What a token says, once it has been verified. */
export interface Claims {
  readonly [name: string]: unknown;
}

/** What is asked for: the action and its channels, `prefix/*` included. */
type Access = Parameters<Authorize>[1];

export interface JwtOptions extends KeyOptions {
  /** Who may have issued the token (`iss`): one of these. Default: not looked at. */
  readonly issuer?: string | readonly string[];
  /**
   * Whom the token is for (`aud`): one of these at least. Default: nobody, so that a token with an audience is refused
   * (RFC 7519, 4.1.3): it was given for some other service.
   */
  readonly audience?: string | readonly string[];
  /** The cookie that carries the token when there is no `Authorization: Bearer`. Default: none. */
  readonly cookie?: string;
  /** The user: a claim's name, or worked out from the claims. Without one the connection has no user. Default `sub`. */
  readonly user?: string | ((claims: Claims) => string | undefined);
  /** The roles: the name of a claim that is a list of texts, or worked out from the claims. Default `roles`. */
  readonly roles?: string | ((claims: Claims) => readonly string[]);
  /**
   * Whether the holder may do that: only `true` is yes. Default: subscribe to any channel, and nothing else.
   *
   *     can: (claims, { action, channels }) => action === "subscribe" || (action === "publish" && claims.admin === true)
   */
  readonly can?: (claims: Claims, access: Access) => boolean | Promise<boolean>;
  /** How far the issuer's clock may be off, in milliseconds, 0 to 300,000: `nbf` and `exp` are moved by it. Default 0. */
  readonly clockToleranceMs?: number;
  /**
   * Whether a token without `exp` is accepted. Default false: whoever gets hold of it has it for ever, and its stream
   * never ends.
   */
  readonly allowUnlimited?: boolean;
}

const maxToleranceMs = 300_000;

/**
 * Verifies JSON Web Tokens (RFC 7519, as RFC 8725 advises): an `authorize` for `createHub` and for single streams. Needs
 * the package `jose`.
 *
 *     const hub = createHub({ authorize: jwt({ jwks: "https://login.example/jwks.json", audience: "my-app" }) });
 *
 * No token, or an expired one: 401. Malformed, wrongly signed, not yet valid, for somebody else, or not enough: 403. The
 * stream ends when its token does. Nothing in a token leads anywhere: `jku`, `x5u`, `jwk` and `x5c` are not looked at,
 * and a `crit` that asks for more is refused.
 * @throws MillraceError `invalid_option`
 */
export function jwt(options: JwtOptions): Authorize {
  checkOptions(options);
  const { key, algorithms } = keysOf(options);
  const { issuer, audience, cookie, user = "sub", roles = "roles", can = maySubscribe } = options;
  const { clockToleranceMs = 0, allowUnlimited = false } = options;
  const checks = {
    algorithms,
    clockTolerance: clockToleranceMs / 1000,
    requiredClaims: allowUnlimited ? [] : ["exp"],
    ...(issuer === undefined ? {} : { issuer: listOf(issuer) }),
    ...(audience === undefined ? {} : { audience: listOf(audience) }),
  };

  return async (request, access) => {
    const token = tokenOf(request, cookie);
    if (token === undefined) return { refuse: 401, reason: missing(cookie) };
    try {
      const { payload } = await jwtVerify(token, key, checks);
      if ("aud" in payload && audience === undefined) throw notAccepted("aud");
      if ((await can(payload, access)) !== true) return { refuse: 403 };
      return { ...userOf(payload, user), ...rolesOf(payload, roles), ...endOf(payload, clockToleranceMs) };
    } catch (error) {
      return refusalOf(error);
    }
  };
}

const maySubscribe = (_claims: Claims, { action }: Access): boolean => action === "subscribe";

const missing = (cookie: string | undefined): string =>
  `credentials are needed: send a token by Authorization: Bearer${cookie === undefined ? "" : ", or by its cookie"}`;

const notAccepted = (claim: string) => new errors.JWTClaimValidationFailed("", {}, claim);

/** What is wrong with a token, and nothing of what is in it. Other errors are not the token's: they are thrown on. */
function refusalOf(error: unknown): Refusal {
  if (error instanceof errors.JWTExpired) return { refuse: 401, reason: "this token has expired: get a new one" };
  if (error instanceof errors.JWTClaimValidationFailed) {
    return { refuse: 403, reason: `this token is not for here: its claim ${error.claim} is missing, or not accepted` };
  }
  if (ofToken.some((kind) => error instanceof kind)) {
    return { refuse: 403, reason: "this token is malformed, or not signed as it must be for here" };
  }
  throw error;
}

const ofToken = [
  errors.JWTInvalid,
  errors.JWSInvalid,
  errors.JWSSignatureVerificationFailed,
  errors.JOSEAlgNotAllowed,
  errors.JOSENotSupported,
  errors.JWKSNoMatchingKey,
  errors.JWKSMultipleMatchingKeys,
];

/** A claim of another type is refused here: a user that is a number would read nothing of its own. */
function userOf(claims: Claims, user: NonNullable<JwtOptions["user"]>) {
  const found = typeof user === "string" ? claims[user] : user(claims);
  if (found === undefined) return {};
  if (typeof user === "string" && (typeof found !== "string" || found === "")) throw notAccepted(user);
  return { user: found as string };
}

function rolesOf(claims: Claims, roles: NonNullable<JwtOptions["roles"]>) {
  const found = typeof roles === "string" ? claims[roles] : roles(claims);
  if (found === undefined) return {};
  const isList = Array.isArray(found) && found.every((role) => typeof role === "string");
  if (typeof roles === "string" && !isList) throw notAccepted(roles);
  return { roles: found as readonly string[] };
}

/** To the second, and as late as a new request with it would still be admitted. */
const endOf = ({ exp }: Claims, clockToleranceMs: number) =>
  typeof exp === "number" ? { expiresAtMs: exp * 1000 + clockToleranceMs } : {};

const listOf = (one: string | readonly string[]): string[] => (typeof one === "string" ? [one] : [...one]);

function checkOptions(options: JwtOptions): void {
  checkNumber("clockToleranceMs", options.clockToleranceMs, 0, maxToleranceMs);
  // Also undefined: a variable that was not set would turn the check off.
  for (const name of ["issuer", "audience"] as const) {
    if (!(name in options)) continue;
    const list = [options[name]].flat();
    if (list.length > 0 && list.every((one) => typeof one === "string" && one !== "")) continue;
    throw invalid(`${name} is ${JSON.stringify(options[name])}: it is a text, or a list of texts; or leave it out`);
  }
  const { cookie } = options;
  if (cookie !== undefined && !/^[!#$%&'*+\-.^`|~\w]+$/.test(cookie)) {
    throw invalid(`cookie is ${JSON.stringify(cookie)}: it is the name of a cookie`);
  }
}
