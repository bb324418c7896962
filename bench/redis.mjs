// Many nodes' log in Redis: events a second through the barest script that could do it, and through the log, in turn in one
// run. Starts a redis-server of its own. 256 publishers each wait for their answer.
//
//   npm run build && npm run bench -- redis [OPTIONS]

import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { createClient } from "redis";
import { openRedisLog } from "../packages/millrace/dist/log/redis/index.js";
import { options } from "./support/options.mjs";
import { middle, progress, report, rounded } from "./support/report.mjs";

const { repeats, seconds, json } = options({
  repeats: { default: 3, help: "runs of each; the median is shown" },
  seconds: { default: 3, help: "how long each run is measured, in seconds" },
});

const publishers = 256;
const batches = [1, 10];
const data = "x".repeat(80);
const channels = Array.from({ length: 10 }, (_, at) => `prices/${at}`);
const folder = mkdtempSync(join(tmpdir(), "millrace-bench-"));
const socket = join(folder, "redis.sock");
const server = spawn("redis-server", ["--port", "0", "--unixsocket", socket, "--save", "", "--dir", folder], {
  stdio: "ignore",
});
const client = () => createClient({ socket: { path: socket } }).on("error", () => {});

/** What must happen for an event at least: a number, an entry, a message. */
const bareScript = `
local seq = redis.call('INCR', KEYS[1]..'seq')
redis.call('XADD', KEYS[1]..'s:'..ARGV[1], 'MAXLEN', '~', '100000', seq..'-0', 'e', ARGV[2])
redis.call('PUBLISH', KEYS[1]..'c:'..ARGV[1], seq..' '..ARGV[2])
return seq`;

async function bare() {
  const one = await client().connect();
  const sha = await one.sendCommand(["SCRIPT", "LOAD", bareScript]);
  const block = `event: tick\nchannel: prices/0\ndata: ${data}\n\n`;
  const publish = (channel, each) =>
    Promise.all(Array.from({ length: each }, () => one.sendCommand(["EVALSHA", sha, "1", "bare:", channel, block])));
  return { publish, close: () => one.destroy() };
}

async function log(follows) {
  const opened = await openRedisLog(client(), { onNotice: () => {} });
  opened.shared.follow({ exact: follows ? channels : ["nothing"], prefixes: [], key: "" });
  opened.onCommit(() => {});
  const event = (channel) => ({ channel, data, event: "tick", json: false, key: undefined, retry: undefined });
  const publish = (channel, each) => opened.append(Array.from({ length: each }, () => event(channel)));
  return { publish, close: () => opened.close() };
}

const subjects = [
  ["the barest script", bare],
  ["the log, nobody follows here", () => log(false)],
  ["the log, all is followed here", () => log(true)],
];

async function measure(open, each) {
  const flushing = await client().connect();
  await flushing.sendCommand(["FLUSHALL"]);
  flushing.destroy();
  const { publish, close } = await open();
  const startMs = performance.now();
  const endMs = startMs + seconds * 1000;
  let events = 0;
  await Promise.all(
    Array.from({ length: publishers }, async (_, at) => {
      for (let n = at; performance.now() < endMs; n++) {
        await publish(channels[n % channels.length], each);
        events += each;
      }
    }),
  );
  const perSecond = (events * 1000) / (performance.now() - startMs);
  await close();
  return { "events/s": perSecond };
}

await sleep(500);
const measured = new Map();
for (let repeat = 1; repeat <= repeats; repeat++) {
  for (const [name, open] of subjects) {
    for (const each of batches) {
      progress(`${repeat} of ${repeats}: ${name}, ${each} in a publish`);
      const key = `${name}|${each}`;
      measured.set(key, [...(measured.get(key) ?? []), await measure(open, each)]);
    }
  }
}
server.kill();
rmSync(folder, { recursive: true, force: true });

const rateOf = (name, each) => middle(measured.get(`${name}|${each}`))["events/s"];
report({
  title: "Publishing through Redis",
  rows: subjects.flatMap(([name]) =>
    batches.map((each) => ({
      what: name,
      "events in a publish": each,
      "events/s": rounded(rateOf(name, each), 0),
      "× the barest": rounded(rateOf(name, each) / rateOf("the barest script", each)),
    })),
  ),
  notes: ["The script is called once for each event; the log calls it for all that has gathered."],
  json,
});
