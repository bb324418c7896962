import fs from "node:fs";
import { createHub, createMemoryLog, type Log, type Millrace, type MillraceOptions, type Retention } from "millrace";
import { type Listener, listen } from "millrace/http";
import { openDiskLog } from "millrace/log/disk";
import { UsageError, type Values } from "../cli/option.js";
import { checkBind, createAccess, isLoopback } from "./access.js";
import { descriptorLimit } from "./limits.js";
import { createLogger, cut, type Logger } from "./logger.js";
import { createMetrics, type Metrics } from "./metrics.js";
import type { serveOptions } from "./options.js";
import { createPages } from "./pages.js";
import { openRedisStore } from "./redis-store.js";

export type ServeValues = Values<typeof serveOptions>;

/** A hub that answers on its port. */
export interface Running {
  readonly hub: Millrace;
  readonly metrics: Metrics;
  readonly log: Logger;
  readonly url: string;
  /** Tells clients to come back, drains, flushes, closes. */
  stop(): Promise<void>;
  /** To clients it looks like a crash: streams are cut, nothing is said. What was published is kept. */
  crash(): Promise<void>;
}

/** What the pages of the demo ask of it. */
type DemoHooks = Omit<Parameters<typeof createPages>[0] & object, "authorize" | "loopback">;

/** Files that are open whatever clients do: the store's, the log's, the runtime's. */
const ownDescriptors = 300;

/**
 * @param demo with it the demo's pages are served, and `onRestart` is told when one of them asks for a restart
 * @throws UsageError when what is asked for cannot be, in a line that says why
 */
export async function startHub(values: ServeValues, demo?: DemoHooks): Promise<Running> {
  const access = { host: values.host, apiKeys: values["api-key"], allowAnonymous: values["allow-anonymous"] };
  checkBind(access);
  const tls = readTls(values);
  const logger = createLogger(values["log-level"], values["log-format"]);
  const store = await openStore(values, logger);
  const metrics: Metrics = createMetrics({ stats: () => hub.stats(), log: () => store.stats() });
  const debug = logger.isLevelEnabled("debug");
  const loopback = isLoopback(values.host);
  const authorize = createAccess(access);
  const hub: Millrace = createHub({
    log: store,
    authorize,
    heartbeatMs: values.heartbeat === Infinity ? 0 : values.heartbeat,
    heartbeatForm: values["heartbeat-form"],
    retryMs: values.retry,
    streamRate: values["stream-rate"],
    maxAgeMs: values["max-age"],
    stallMs: values["stall-timeout"],
    limits: {
      bodyBytes: values["body-limit"],
      channels: values["max-channels"],
      connections: values["max-connections"],
      connectionsPerIp: values["max-connections-per-ip"],
      publishRate: values["publish-rate"],
    },
    compression: values.compression,
    corsOrigins: values["cors-origin"],
    loopbackOrigins: loopback,
    trustedProxies: values["trusted-proxy"],
    ...(loopback ? { allowedHosts: values["allowed-host"] } : {}),
    metrics: () => metrics.read(),
    onAnswer: (answer) => metrics.answered(answer),
    onError: (error) => logger.error({ err: error }, "internal error"),
    ...(debug ? tellEverything(logger, () => hub.stats().connections) : {}),
  });
  const answerPages = createPages(demo && { ...demo, authorize, loopback });
  const listener = await listen({
    host: values.host,
    port: values.port,
    ...(tls ? { tls } : {}),
    onFront: hub.front,
    onRequest: (request, response) => {
      hub.node(request, response).then(
        (answered) => answered || answerPages(request, response),
        (error) => {
          logger.error({ err: error }, "internal error");
          response.destroy();
        },
      );
    },
  }).catch(async (error: NodeJS.ErrnoException) => {
    await store.close();
    throw new UsageError(bindFailure(error, values));
  });
  checkDescriptors(values, logger); // now: one that cannot start says why, and nothing else
  return {
    ...{ hub, metrics, log: logger, url: listener.url },
    stop: () => stop(hub, listener, values.drain),
    crash: () => crash(hub, listener),
  };
}

async function stop(hub: Millrace, listener: Listener, drainMs: number): Promise<void> {
  listener.stop();
  await hub.close({ drainMs });
  await listener.close();
}

async function crash(hub: Millrace, listener: Listener): Promise<void> {
  await listener.close();
  await hub.close({ drainMs: 0 });
}

async function openStore(values: ServeValues, logger: Logger): Promise<Log> {
  const retention: Partial<Retention> = {
    events: values["retention-events"],
    ageMs: values["retention-age"],
    channelBytes: values["retention-channel-bytes"],
    totalBytes: values["retention-total-bytes"],
    keyAgeMs: values["idempotency-age"],
  };
  const { durability } = values;
  if (values["redis-wait"] > 0 && values.store.kind !== "redis")
    throw new UsageError("--redis-wait is for --store redis://…: choose it, or leave this out");
  if (values.store.kind === "memory") {
    if (durability === "power")
      throw new UsageError("--durability power contradicts --store memory: choose --store disk:PATH to keep events");
    return createMemoryLog({ retention });
  }
  if (values.store.kind === "redis") {
    const { store: address, "redis-prefix": prefix, "redis-wait": wait } = values;
    return openRedisStore({ address, prefix, wait, durability, retention }, logger);
  }
  try {
    return await openDiskLog(values.store.path, { retention, durability, onNotice: (message) => logger.warn(message) });
  } catch (error) {
    const { message } = error as Error;
    throw new UsageError(`--store disk:${values.store.path} cannot be opened: ${message}`, { cause: error });
  }
}

function readTls(values: ServeValues): { cert: Buffer; key: Buffer } | undefined {
  const { "tls-cert": cert, "tls-key": key } = values;
  if (cert === undefined && key === undefined) return undefined;
  if (cert === undefined || key === undefined)
    throw new UsageError("--tls-cert and --tls-key go together: one of them is missing");
  try {
    return { cert: fs.readFileSync(cert), key: fs.readFileSync(key) };
  } catch (error) {
    throw new UsageError(`the certificate cannot be read: ${(error as Error).message}`);
  }
}

function checkDescriptors(values: ServeValues, logger: Logger): void {
  const limit = descriptorLimit();
  if (limit === undefined || limit === Infinity) return;
  const places = Math.max(0, limit - ownDescriptors);
  const wanted = values["max-connections"];
  if (wanted !== Infinity && wanted > places) {
    logger.warn(
      `--max-connections is ${wanted}, but this process may have ${limit} files open: raise it with ulimit -n`,
    );
  } else if (places < 10_000)
    logger.warn(
      `about ${places} connections are possible: this process may have ${limit} files open, raise it with ulimit -n`,
    );
  else logger.info(`about ${places} connections are possible: this process may have ${limit} files open`);
}

function bindFailure({ code, message }: NodeJS.ErrnoException, { host, port }: ServeValues): string {
  if (code === "EADDRINUSE")
    return `port ${port} on ${host} is taken: stop what listens there, or choose another with --port`;
  if (code === "EACCES") return `port ${port} needs more rights than this user has: choose one above 1023`;
  return `cannot listen on ${host}:${port}: ${message}`;
}

/** Log lines for every connection and event. */
function tellEverything(
  logger: Logger,
  clients: () => number,
): Required<Pick<MillraceOptions, "onConnection" | "onPublish">> {
  return {
    onConnection: ({ id, identity, remoteAddress, closeReason }, what) =>
      logger.debug(
        { id, user: identity.user, remoteAddress, reason: closeReason, clients: clients() },
        `connection ${what}`,
      ),
    onPublish: ({ channel, event, data }, id) =>
      logger.debug({ channel, event, id, data: cut(data), clients: clients() }, "publish"),
  };
}
