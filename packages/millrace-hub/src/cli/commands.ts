import { serveOptions } from "../serve/options.js";
import { runHub } from "../serve/run.js";
import { helpText } from "./help.js";
import type { Options } from "./option.js";
import { runPublish } from "./publish.js";
import { readOptions, type Source } from "./read.js";
import { runSubscribe } from "./subscribe.js";
import { parseCount, parseUrl } from "./values.js";

/** A command of the executable. */
export interface Command {
  readonly about: string;
  readonly help: () => string;
  readonly run: (source: Omit<Source, "positionals">) => Promise<number>;
}

const text = (value: string) => value;
const targetOptions = {
  url: { value: "URL", default: "http://127.0.0.1:4000", parse: parseUrl, help: "Address of the hub." },
  "api-key": { value: "KEY", default: undefined, parse: text, help: "The hub's API key, where it has one." },
  config: { value: "FILE", default: undefined, parse: text, help: "A JSON file with options." },
} as const;

const publishOptions = {
  event: {
    value: "NAME",
    default: undefined,
    parse: text,
    help: "The events' type. Without it clients receive them as message.",
  },
  key: { value: "KEY", default: undefined, parse: text, help: "What the events are the latest value of." },
  ...targetOptions,
} as const;

const subscribeOptions = {
  rewind: {
    value: "N",
    default: undefined,
    parse: text,
    help: "Begin with the last N events, or with all that are kept: all.",
  },
  "last-event-id": { value: "ID", default: undefined, parse: text, help: "Begin behind this event." },
  json: {
    value: undefined,
    default: undefined,
    parse: (value: string) => value === "true",
    help: "Print channel, event, id, time and data of each event as JSON.",
  },
  count: { value: "N", default: "off", off: "off", parse: parseCount, help: "End after so many events." },
  ...targetOptions,
} as const;

function hubCommand(name: "serve" | "demo", about: string): Command {
  return {
    about,
    help: () => helpText([`millrace-hub ${name} [OPTIONS]`], about, serveOptions satisfies Options),
    run: (source) => runHub(readOptions(serveOptions, { ...source, positionals: 0 }).values, { demo: name === "demo" }),
  };
}

export const commands: Readonly<Record<string, Command>> = {
  serve: hubCommand(
    "serve",
    "Runs the hub. It prints one line with its address on standard output when it accepts connections.",
  ),
  demo: hubCommand(
    "demo",
    "Runs the hub, publishes this machine's figures on the channel system every second, and serves a page at / that plots them.",
  ),
  publish: {
    about: "Publishes an event, or a line of standard input each. Prints the ids.",
    help: () =>
      helpText(
        ["millrace-hub publish [CHANNEL] [DATA] [OPTIONS]", "some-command | millrace-hub publish CHANNEL"],
        "Publishes DATA on CHANNEL (general, when it is left out). Without DATA each line of standard input is an event; they are sent in small batches, and a batch that got no answer is sent again without doubling. Prints the id of each event, one a line.",
        publishOptions,
      ),
    run: (source) => {
      const { values, positionals } = readOptions(publishOptions, { ...source, positionals: 2 });
      const [channel = "general", data] = positionals;
      const { url, event, key, "api-key": apiKey } = values;
      return runPublish({ url, apiKey, channel, data, event, key });
    },
  },
  subscribe: {
    about: "Prints events as they come, one a line.",
    help: () =>
      helpText(
        ["millrace-hub subscribe [CHANNEL...] [OPTIONS]"],
        "Prints the data of each event on the channels (general, when none is named; news/* for all below news/), one event a line, control characters escaped. When the stream ends it comes back and goes on where it was.",
        subscribeOptions,
      ),
    run: (source) => {
      const { values, positionals } = readOptions(subscribeOptions, { ...source, positionals: 1000 });
      const { url, rewind, json, count, "api-key": apiKey, "last-event-id": lastEventId } = values;
      return runSubscribe({ url, apiKey, channels: positionals, rewind, lastEventId, json, count });
    },
  },
};
