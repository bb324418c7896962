import { MillraceError } from "../../protocol/index.js";
import type { Connection } from "./client.js";

/** What Redis promises of what it was given, as far as it says so. */
export interface RedisServer {
  /** Such as `7.0.15`. */
  readonly version: string;
  /** `always`: what it has acknowledged survives its end. `off`: it keeps no append-only file. `unknown`: it does not say. */
  readonly appendfsync: "always" | "everysec" | "no" | "off" | "unknown";
  /** What it does when its memory is full: `noeviction` is right. */
  readonly maxmemoryPolicy: string;
  /** Replicas that are connected. */
  readonly replicas: number;
}

export interface Examined extends RedisServer {
  /** Names this start of it. */
  readonly runId: string;
  /** Whether nothing that it acknowledged can have been lost, if the run before was of the same kind. */
  readonly safe: boolean;
  /** Whether it may delete what is kept in it, by itself. */
  readonly evicts: boolean;
}

/** Asks a Redis what it is. @throws MillraceError `store_failed` for one that is too old */
export async function examine(connection: Connection): Promise<Examined> {
  const [info, settings] = await Promise.all([connection.send(["INFO"]), readSettings(connection)]);
  const field = (name: string) => new RegExp(`^${name}:(.*?)\\r?$`, "m").exec(String(info))?.[1] ?? "";
  const version = field("redis_version");
  if (Number.parseInt(version, 10) < 7) {
    throw new MillraceError("store_failed", `this Redis is of version ${version}: 7.0 or later is needed, or Valkey`);
  }
  const aof = settings.get("appendonly");
  const fsync = settings.get("appendfsync");
  // During a rewrite it would not flush at all.
  const isSteady = settings.get("no-appendfsync-on-rewrite") === "no";
  const appendfsync =
    aof === "no" ? "off" : fsync === "always" || fsync === "everysec" || fsync === "no" ? fsync : "unknown";
  // One that was a replica has what it was sent, which may be less than its master had acknowledged.
  const wasReplica = field("second_repl_offset") !== "-1";
  const maxmemoryPolicy = settings.get("maxmemory-policy") ?? field("maxmemory_policy");
  return {
    version,
    appendfsync,
    maxmemoryPolicy,
    replicas: Number(field("connected_slaves")) || 0,
    runId: field("run_id"),
    safe: appendfsync === "always" && isSteady && !wasReplica,
    evicts: maxmemoryPolicy !== "" && maxmemoryPolicy !== "noeviction" && field("maxmemory") !== "0",
  };
}

/** Some of its settings; none where it does not let them be read. */
async function readSettings(connection: Connection): Promise<ReadonlyMap<string, string>> {
  const settings = new Map<string, string>();
  try {
    for (const pattern of ["append*", "no-appendfsync-on-rewrite", "maxmemory-policy"]) {
      for (const [name, value] of pairsOf(await connection.send(["CONFIG", "GET", pattern]))) settings.set(name, value);
    }
  } catch {
    // a hosted Redis may forbid it
  }
  return settings;
}

/** Of a map, whichever way a client shows one. */
function pairsOf(answer: unknown): [string, string][] {
  if (answer instanceof Map) return [...answer].map(([name, value]) => [String(name), String(value)]);
  if (Array.isArray(answer)) {
    return answer.flatMap((name, at): [string, string][] =>
      at % 2 === 0 ? [[String(name), String(answer[at + 1])]] : [],
    );
  }
  return Object.entries(answer ?? {}).map(([name, value]) => [name, String(value)]);
}

/** What an operator should know of it. */
export function noticesOf({ version, appendfsync, maxmemoryPolicy, evicts }: Examined): string[] {
  const notices: string[] = [];
  if (appendfsync !== "always" && appendfsync !== "unknown") {
    const cost = appendfsync === "off" ? "all events since its last snapshot" : "the last seconds of events";
    notices.push(
      `Redis ${version} has ${appendfsync === "off" ? "appendonly no" : `appendfsync ${appendfsync}`}: its crash may cost ${cost}; clients are told a gap then`,
    );
  }
  if (!evicts && maxmemoryPolicy !== "noeviction" && maxmemoryPolicy !== "") {
    notices.push(
      `Redis has maxmemory-policy ${maxmemoryPolicy}: once a maxmemory is set, it deletes events by itself; noeviction is right`,
    );
  }
  return notices;
}
