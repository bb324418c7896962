import type { Hub } from "../hub/index.js";
import type { Authorize } from "./authorize.js";
import type { CorsOptions } from "./cors.js";
import type { Intake } from "./intake.js";
import type { Gate } from "./limits.js";

/** What the routes need. */
export interface Api {
  readonly hub: Hub;
  readonly gate: Gate;
  readonly intake: Intake;
  readonly authorize: Authorize;
  readonly cors: CorsOptions;
  /** Names a request may have in `Host`, beside loopback ones; undefined: any. */
  readonly allowedHosts: readonly string[] | undefined;
  /** Parameters of `/events` that are the application's own. */
  readonly allowedParameters: readonly string[];
  /** Whether streams are compressed for clients that accept it. */
  readonly compression: boolean;
  /** The figures as Prometheus reads them; without it `/metrics` is not there. */
  readonly metrics: (() => Promise<{ type: string; text: string }>) | undefined;
  /** Told of each answer; of a stream when it opens. */
  readonly onAnswer: (answer: Answer) => void;
  /** Told what went wrong inside. */
  readonly onError: (error: unknown) => void;
}

export interface Answer {
  readonly method: string;
  /** The route's pattern, not the path that was asked for; `hub.stream` for all routes of the application's own. */
  readonly route: string;
  readonly status: number;
  readonly durationMs: number;
}
