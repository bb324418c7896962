import { serveOptions } from "../serve/options.js";
import { runHub } from "../serve/run.js";
import { benchOptions } from "./bench/options.js";
import { runBench } from "./bench/run.js";
import type { Manual } from "./help.js";
import { runPublish } from "./publish.js";
import { readOptions, type Source } from "./read.js";
import { clientOptions } from "./request.js";
import { parseEvery, runSubscribe } from "./subscribe.js";
import { orOff, parseCount, parseSwitch, parseText, parseUrl, positive } from "./values.js";

/** A command of the executable. */
export interface Command extends Manual {
  /** Answers with the exit code. @throws UsageError when it was called wrongly, or cannot do what it was called for */
  readonly run: (source: Omit<Source, "positionals">) => Promise<number>;
}

const targetOptions = {
  // Secret, for what is no address may still hold a password.
  url: { value: "URL", default: "http://127.0.0.1:4000", secret: true, parse: parseUrl, help: "Address of the hub." },
  ...clientOptions,
} as const;

const publishOptions = {
  event: {
    value: "NAME",
    default: undefined,
    parse: parseText,
    help: "The events' type. Without it clients receive them as message.",
  },
  key: { value: "KEY", default: undefined, parse: parseText, help: "What the events are the latest value of." },
  ...targetOptions,
} as const;

const subscribeOptions = {
  rewind: {
    value: "N",
    default: undefined,
    parse: parseText,
    help: "Begin with the last N events, or with all that are kept: all.",
  },
  "last-event-id": { value: "ID", default: undefined, parse: parseText, help: "Begin behind this event." },
  conflate: {
    value: undefined,
    default: undefined,
    parse: parseSwitch,
    help: "Of each key of a channel, print the latest event only, as far as an older one has not come yet.",
  },
  every: {
    value: "TIME",
    default: undefined,
    parse: parseEvery,
    help: "Be sent events once in this time at most, from 10ms to 1h, conflated.",
  },
  json: {
    value: undefined,
    default: undefined,
    parse: parseSwitch,
    help: "Print channel, event, id, time and data of each event as JSON.",
  },
  count: {
    value: "N",
    default: "off",
    off: "off",
    parse: orOff(positive(parseCount)),
    help: "End after so many events.",
  },
  ...targetOptions,
} as const;

function hubCommand(name: "serve" | "demo", manual: Pick<Manual, "about" | "details">): Command {
  return {
    usage: [`millrace-hub ${name} [OPTIONS]`],
    ...manual,
    options: serveOptions,
    run: (source) => runHub(readOptions(serveOptions, { ...source, positionals: 0 }).values, { demo: name === "demo" }),
  };
}

export const commands: Readonly<Record<string, Command>> = {
  serve: hubCommand("serve", {
    about: "Runs the hub.",
    details:
      "Runs the hub. It prints one line with its address on standard output when it accepts connections; its log goes to standard error. SIGTERM or Ctrl-C ends it: clients are told to come back.",
  }),
  demo: hubCommand("demo", {
    about: "Runs the hub, and pages: this machine live, and what events do.",
    details:
      "Runs the hub, publishes this machine's figures on the channel system every second, and serves a page at / that plots them. Its other pages show what events are for, with simulated ones on channels such as demo/stocks, which are made while somebody watches. On loopback a button restarts the hub under them.",
  }),
  publish: {
    usage: ["millrace-hub publish [CHANNEL] [DATA] [OPTIONS]", "some-command | millrace-hub publish CHANNEL"],
    about: "Publishes an event, or each line of standard input as one.",
    details:
      "Publishes DATA on CHANNEL (general, when it is left out). Without DATA each line of standard input is an event; they are sent in small batches, and a batch that got no answer is sent again without doubling. Prints the id of each event, one a line.",
    options: publishOptions,
    run: (source) => {
      const { values, positionals } = readOptions(publishOptions, { ...source, positionals: 2 });
      const [channel = "general", data] = positionals;
      const { url, event, key, "api-key": apiKey } = values;
      return runPublish({ url, apiKey, channel, data, event, key });
    },
  },
  subscribe: {
    usage: ["millrace-hub subscribe [CHANNEL...] [OPTIONS]"],
    about: "Prints events as they come, one a line.",
    details:
      "Prints the data of each event on the channels (general, when none is named; news/* for all below news/), one event a line, control characters escaped. When the stream ends it comes back and goes on where it was.",
    options: subscribeOptions,
    run: (source) => {
      const { values, positionals } = readOptions(subscribeOptions, { ...source, positionals: 1000 });
      const { url, rewind, conflate, json, count, "api-key": apiKey, "last-event-id": lastEventId } = values;
      const { every: everyMs } = values;
      return runSubscribe({ url, apiKey, channels: positionals, rewind, lastEventId, conflate, everyMs, json, count });
    },
  },
  bench: {
    usage: ["millrace-hub bench [OPTIONS]"],
    about: "Opens many streams of any server, and reports how it bears them.",
    details:
      "Opens streams of any server that sends events, reads them for a while, and prints a report: connections, errors by kind, events, bytes, latency. How it goes is shown on standard error. Streams that end are not opened again. Ctrl-C ends it early, with the report so far. The exit code is 1 when a connection failed or was lost, or an event that it published was lost or came twice.",
    options: benchOptions,
    run: (source) => runBench(readOptions(benchOptions, { ...source, positionals: 0 }).values),
  },
};
