import { connectionPrefix, MillraceError, maxChannelBytes, runsChannel, withDefaults } from "../protocol/index.js";
import type { Retention, RetentionPolicy } from "./log.js";
import { Marks } from "./marks.js";

type Bounds = RetentionPolicy["retention"];

/**
 * What the channels of one policy keep. They have one age, so their entries become too old in the order of the log, and
 * a few marks say up to where: for each channel of its own they would be a hundred thousand lists.
 */
export class Rule {
  readonly events: number;
  readonly bytes: number;
  readonly ageMs: number;
  /** The bytes in all neither count its entries nor drop them. */
  readonly spared: boolean;
  readonly #pattern: string;
  readonly #ages = new Marks();
  #last = { sequence: 0, timeMs: 0 };
  #markedThrough = 0;
  /** Its entries up to here are to be dropped. */
  dueThrough = 0;
  /** None of its entries before this one is retained. */
  oldest = 0;

  constructor(pattern: string, { events, bytes, ageMs }: Required<Bounds>, spared = false) {
    this.#pattern = pattern;
    this.events = events;
    this.bytes = bytes;
    this.ageMs = ageMs;
    this.spared = spared;
  }

  holds(channel: string): boolean {
    return covers(this.#pattern, channel);
  }

  added(sequence: number, timeMs: number): void {
    // A hundred marks bound how far an exact limit can be missed: one in a hundred, and never beyond the limit itself.
    // This entry comes behind the mark: after a pause it would lend its youth to all that came before the pause.
    if (timeMs - this.#ages.last > Math.min(1000, this.ageMs / 100)) this.#mark();
    this.#last = { sequence, timeMs };
  }

  /** Finds what has become too old. */
  age(nowMs: number): void {
    this.#mark();
    const before = nowMs - this.ageMs;
    for (let mark = this.#ages.takeUpTo(before); mark !== undefined; mark = this.#ages.takeUpTo(before)) {
      this.dueThrough = Math.max(this.dueThrough, mark);
    }
  }

  /** Every entry up to the newest is at most as old as this mark says. */
  #mark(): void {
    if (this.#last.sequence <= this.#markedThrough || this.ageMs === Infinity) return;
    this.#ages.push(this.#last.timeMs, this.#last.sequence);
    this.#markedThrough = this.#last.sequence;
  }
}

/**
 * What says which runs go on and which have ended. It once went with the events: a hub that came after a crash then let
 * strangers write to ended runs, and never ended those that had gone on for long.
 */
const ofRuns = { events: 100_000, bytes: Infinity, ageMs: Infinity };

/** How long a connection may lag behind what is sent to it alone: nobody else reads that, and nobody later. */
const connectionAgeMs = 60_000;

/**
 * A rule for each policy; the last is for channels that none holds. What is written down of runs has its own.
 * @throws MillraceError `invalid_option`, with the policy that is wrong and what is right
 */
export function rulesOf(
  { events, channelBytes: bytes, ageMs }: Retention,
  policies: readonly RetentionPolicy[],
): [...Rule[], Rule] {
  for (const [at, policy] of policies.entries()) check(`policies[${at}]`, policy, policies.slice(0, at));
  const rules = policies.map(
    (policy) => new Rule(policy.channels, withDefaults({ events, bytes, ageMs }, policy.retention)),
  );
  return [
    new Rule(runsChannel, ofRuns, true),
    ...rules,
    new Rule(`${connectionPrefix}*`, { events, bytes, ageMs: Math.min(ageMs, connectionAgeMs) }),
    new Rule("", { events, bytes, ageMs }),
  ];
}

/** As in a selection `*` holds no channel that begins with `@`; but `@user/*` may be named: this is no client's wish. */
function covers(pattern: string, name: string): boolean {
  if (!pattern.endsWith("*")) return name === pattern;
  const prefix = pattern.slice(0, -1);
  return name.length > prefix.length && name.startsWith(prefix) && (prefix !== "" || !name.startsWith("@"));
}

const form = /^(?:[^*\r\n\0]+|(?:[^*\r\n\0]*\/)?\*)$/;

const bounds: Record<keyof Bounds, (value: number) => boolean> = {
  events: (value) => value >= 1 && (Number.isInteger(value) || value === Infinity),
  ageMs: (value) => value > 0,
  bytes: (value) => value > 0,
};
const right = {
  events: "a whole number, 1 or more, or Infinity",
  ageMs: "a number greater than 0",
  bytes: "a number greater than 0",
};

function check(name: string, policy: unknown, before: readonly RetentionPolicy[]): void {
  const { channels, retention, ...more } = isObject(policy) ? policy : {};
  if (!isObject(retention) || Object.keys(more).length > 0) {
    throw invalid(
      `${name} is ${show(policy)}: a policy is such as {"channels":"answers/*","retention":{"ageMs":3600000}}`,
    );
  }
  if (
    typeof channels !== "string" ||
    !form.test(channels) ||
    !channels.isWellFormed() ||
    Buffer.byteLength(channels) > maxChannelBytes
  ) {
    throw invalid(
      `${name}.channels is ${show(channels)}: it is a channel's name, "prefix/*" or "*", of at most ${maxChannelBytes} bytes`,
    );
  }
  if (channels === runsChannel) throw invalid(`${name} is for ${show(channels)}, which Millrace keeps for itself`);
  for (const [bound, value] of Object.entries(retention)) {
    if (!Object.hasOwn(bounds, bound))
      throw invalid(`${name}.retention has ${show(bound)}: known are ${Object.keys(bounds).join(", ")}`);
    if (value === undefined) continue;
    if (typeof value !== "number" || !bounds[bound as keyof Bounds](value)) {
      throw invalid(`${name}.retention.${bound} is ${show(value)}: it is ${right[bound as keyof Bounds]}`);
    }
  }
  const wider = before.find((earlier) => covers(earlier.channels, channels) || earlier.channels === channels);
  if (wider)
    throw invalid(
      `${name} is for ${show(channels)}, which ${show(wider.channels)} holds before it: the first one wins, so put it in front`,
    );
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null;
const show = (value: unknown) => (typeof value === "number" ? String(value) : JSON.stringify(value));
const invalid = (message: string) => new MillraceError("invalid_option", message);
