import type { Answer, HubStats, Log } from "millrace";
import { type RequestMeter, requestMeter } from "millrace/sources";
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";

/** What the hub tells Prometheus, and its own page. */
export interface Metrics {
  read(): Promise<{ type: string; text: string }>;
  answered(answer: Answer): void;
  readonly requests: RequestMeter;
}

let processRegistry: Registry | undefined;

/** Once: what prom-client measures a process with is never taken away, and each restart of the demo's hub would add to it. */
function ofProcess(): Registry {
  if (!processRegistry) {
    processRegistry = new Registry();
    collectDefaultMetrics({ register: processRegistry });
  }
  return processRegistry;
}

/** @param sources where the figures are read when they are asked for: nothing is counted twice */
export function createMetrics(sources: { stats: () => HubStats; log: () => ReturnType<Log["stats"]> }): Metrics {
  const registry = new Registry();
  ofProcess(); // measures from now on
  const registers = [registry];
  const gauge = (name: string, help: string, value: () => number) => {
    new Gauge({
      name,
      help,
      registers,
      collect: function () {
        this.set(value());
      },
    });
  };
  const counter = (name: string, help: string, value: () => number) => {
    new Counter({
      name,
      help,
      registers,
      collect: function () {
        this.reset();
        this.inc(value());
      },
    });
  };
  const { stats, log } = sources;
  gauge("millrace_connections", "Open streams and waiting long-polls", () => stats().connections);
  gauge("millrace_groups", "Different selections that are being read", () => stats().groups);
  counter("millrace_published_total", "Events accepted", () => stats().published);
  counter(
    "millrace_deliveries_total",
    "Events handed to connections, once for each connection",
    () => stats().deliveries,
  );
  counter("millrace_connections_opened_total", "Streams opened", () => stats().opened);
  counter("millrace_connections_closed_total", "Streams closed", () => stats().closed);
  counter("millrace_gaps_total", "Times a client was told that events are missing", () => stats().gaps);
  counter("millrace_lags_total", "Times a client was slower than its channels", () => stats().lags);
  counter("millrace_paced_total", "Times a stream was held back by --stream-rate", () => stats().paced);
  gauge("millrace_channels", "Channels that are remembered", () => log().channels);
  gauge("millrace_log_entries", "Events that are kept", () => log().entries);
  gauge("millrace_log_bytes", "Bytes of the events that are kept", () => log().bytes);
  gauge("millrace_store_bytes", "Bytes that the store occupies", () => log().storedBytes);
  gauge("millrace_store_writable", "1, or 0 after the store could not be written", () => Number(log().writable));
  const durations = new Histogram({
    name: "millrace_http_request_duration_seconds",
    help: "Time to the answer of a request; of a stream, to its opening",
    labelNames: ["method", "route", "status"],
    buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5, 30],
    registers,
  });
  const methods = new Set(["GET", "HEAD", "POST", "DELETE", "OPTIONS"]);
  const requests = requestMeter();
  return {
    read: async () => ({
      type: registry.contentType,
      text: (await ofProcess().metrics()) + (await registry.metrics()),
    }),
    answered: ({ method, route, status, durationMs }) => {
      requests.observe({ status, durationMs });
      // A method is the client's text: only known ones may become a label.
      durations.observe({ method: methods.has(method) ? method : "other", route, status }, durationMs / 1000);
    },
    requests,
  };
}
