interface Host {
  readonly host: string;
  readonly port: number;
}

/** Where a Redis is, as `--store` says it. */
export interface RedisAddress {
  readonly kind: "redis";
  readonly tls: boolean;
  /** That of the Redis; or those of its Sentinels. */
  readonly hosts: readonly [Host, ...Host[]];
  /** What the Sentinels call the master. */
  readonly sentinel: string | undefined;
  readonly user: string;
  readonly password: string;
  readonly database: number;
  /** The address without user and password. */
  readonly shown: string;
}

const form = /^(redis|rediss|redis\+sentinel):\/\/(?:([^:@/]*)(?::([^@/]*))?@)?([^@/?#]+)((?:\/[^/?#]*)*)$/;

/** @throws Error whose message says what would be right */
export function parseRedisAddress(text: string): RedisAddress {
  const [, scheme = "", user = "", password = "", places = "", path = ""] = form.exec(text) ?? [];
  const right = new Error("redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE], or redis+sentinel://HOST[,HOST…]/NAME");
  const isSentinel = scheme === "redis+sentinel";
  const [first, ...more] = places.split(",").map((place) => hostOf(place, isSentinel ? 26_379 : 6379));
  const parts = path.split("/").slice(1);
  const name = isSentinel ? parts.shift() : undefined;
  const [database = "", ...rest] = parts;
  const isWrong = more.includes(undefined) || rest.length > 0 || !/^\d{0,4}$/.test(database);
  if (!first || isWrong || (isSentinel ? !name : more.length > 0)) throw right;
  try {
    return {
      kind: "redis",
      tls: scheme === "rediss",
      hosts: [first, ...(more as Host[])],
      sentinel: name === undefined ? undefined : decodeURIComponent(name),
      user: decodeURIComponent(user),
      password: decodeURIComponent(password),
      database: Number(database),
      shown: `${scheme}://${places}${path}`,
    };
  } catch {
    throw right; // it is not percent-encoded well; the error would say of what
  }
}

function hostOf(place: string, fallback: number): Host | undefined {
  const [, bracketed, plain, digits] = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]]+))(?::(\d{1,5}))?$/.exec(place) ?? [];
  const host = bracketed ?? plain;
  const port = digits === undefined ? fallback : Number(digits);
  return host !== undefined && port >= 1 && port <= 65_535 ? { host, port } : undefined;
}

/** The address of one Redis, as clients take it. */
export function redisUrl({ tls, user, password, database }: RedisAddress, { host, port }: Host): string {
  const credentials =
    user === "" && password === "" ? "" : `${encodeURIComponent(user)}:${encodeURIComponent(password)}@`;
  return `${tls ? "rediss" : "redis"}://${credentials}${host.includes(":") ? `[${host}]` : host}:${port}/${database}`;
}
