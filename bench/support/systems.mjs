import path from "node:path";
import { startHub } from "./hub.mjs";
import { compiled } from "./native.mjs";
import { cpuSeconds, launch, lines, message, start, stop } from "./process.mjs";
import { startPublisher } from "./publisher.mjs";
import { get } from "./readers.mjs";
import { dataBytes, eventBytes } from "./sizes.mjs";

/**
 * A system whose fan-out is measured: `start({ subscribers, rate, count })` resolves to
 * `{ port, requests, rampMs?, lanes?, publish(), cpuSeconds(), stop() }`. `publish` resolves when all is published, or
 * rejects; `how` says where events come from, since publishing over HTTP is work that a timer inside does not have.
 */
export const hub = (name = "millrace-hub", { args = [], target = "/events?channel=bench" } = {}) => ({
  name,
  how: "HTTP",
  async start(load) {
    const server = await startHub({ args });
    const published = await overHttp({ port: server.port }, load);
    const requests = get(server.port, target);
    return { ...server, ...published, requests, stop: () => Promise.all([server.stop(), published.stop()]) };
  },
});

export const bareSockets = {
  name: "bare Node sockets",
  how: "timer inside",
  start: ({ rate, count }) => startScript(path.join(import.meta.dirname, "sockets.mjs"), [rate, count]),
};

export const sendLoop = {
  name: "C, one send() each",
  how: "timer inside",
  missing: () => (compiled("sendloop.c") === undefined ? "no gcc to compile bench/support/sendloop.c with" : undefined),
  start: ({ subscribers, rate, count }) => startTimed(compiled("sendloop.c"), [subscribers, rate, count, eventBytes]),
};

/** A program that publishes by a timer of its own: it prints its port, begins when it is sent a line, and prints seconds. */
export async function startTimed(program, args, more = {}) {
  const child = launch(program, args, { cpu: 0, stdio: ["pipe", "pipe", "inherit"] });
  const heard = lines(child);
  const { port } = await heard.next((line) => line.port);
  return {
    port,
    requests: get(port, "/"),
    ...more,
    publish() {
      child.stdin.write("\n");
      return heard.next((line) => line.seconds);
    },
    cpuSeconds: () => cpuSeconds(child.pid),
    stop: () => stop(child),
  };
}

/** The same of a Node server, by messages. */
export async function startScript(script, args, requests = (port) => get(port, "/")) {
  const child = start(script, args, { cpu: 0 });
  const { port } = await message(child, (value) => value.port);
  return {
    port,
    pid: child.pid,
    requests: requests(port),
    publish() {
      child.send("run");
      return message(child, (value) => value.seconds);
    },
    cpuSeconds: () => cpuSeconds(child.pid),
    stop: () => stop(child),
  };
}

/** Publishing from outside, on as many connections as the rate needs; each is a lane of its own to the readers. */
export async function overHttp(plan, { rate, count }) {
  const lanes = Math.ceil(rate / 5000);
  const publisher = await startPublisher({ rate, count, dataBytes, connections: lanes, ...plan });
  return { lanes: plan.connections ?? lanes, publish: publisher.run, stop: publisher.stop };
}
