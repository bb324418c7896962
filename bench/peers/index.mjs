import { createHmac } from "node:crypto";
import { once } from "node:events";
import fs from "node:fs";
import { createServer } from "node:net";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { cpuSeconds, launch, onPath, stop } from "../support/process.mjs";
import { get } from "../support/readers.mjs";
import { scratch } from "../support/scratch.mjs";
import { dataBytes, eventBytes } from "../support/sizes.mjs";
import { overHttp, startScript, startTimed } from "../support/systems.mjs";
import { built } from "./built.mjs";

const here = import.meta.dirname;
const inBuilt = (name) => path.join(built, name);
const installed = (name, file) => () =>
  fs.existsSync(file) ? undefined : `not installed: node bench/peers/install.mjs ${name}`;
const needsProgram = (name) => () => (onPath(name) === undefined ? `no ${name} on the PATH` : undefined);

/** Libraries for Node: they are given events by a timer inside, one by one unless they have batches of their own. */
const script = (name, file, requests) => ({
  name,
  how: "timer inside",
  missing: installed("npm", path.join(here, "node_modules")),
  start: ({ rate, count }) => startScript(path.join(here, file), [rate, count], requests),
});

const program = (name, more = {}) => ({
  name,
  how: "timer inside",
  missing: installed(name, inBuilt(name)),
  start: ({ rate, count }) =>
    startTimed(inBuilt(name), [rate, count, name === "hyperlane" ? eventBytes : dataBytes], more),
});

const upgrade = (target) => (port) => {
  const key = "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
  return `GET ${target} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n${key}\r\n`;
};

/** Servers that take a port from outside. */
async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

async function accepts(port) {
  for (let tries = 0; tries < 200; tries++) {
    const answer = await fetch(`http://127.0.0.1:${port}/`).catch(() => undefined);
    await answer?.arrayBuffer();
    if (answer) return;
    await sleep(50);
  }
  throw new Error("the server does not accept connections");
}

/**
 * Servers with a configuration: writes `files` into a folder of their own, starts `command` in it, and publishes over HTTP.
 * The time of processes that it starts is part of its own.
 */
const server = (name, { missing, files, command, target, publishing }) => ({
  name,
  how: "HTTP",
  missing,
  async start(load) {
    const port = await freePort();
    const folder = scratch();
    for (const [file, text] of Object.entries(files({ port, folder }))) fs.writeFileSync(path.join(folder, file), text);
    const [file, ...args] = command(folder);
    const child = launch(file, args, { cpu: 0, cwd: folder, stdio: ["ignore", "ignore", "ignore"] });
    child.once("exit", () => fs.rmSync(folder, { recursive: true, force: true }));
    await accepts(port);
    const children = fs.readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, "utf8").match(/\d+/g) ?? [];
    const published = await overHttp({ port, ...publishing }, load);
    return {
      ...published,
      port,
      requests: get(port, target),
      cpuSeconds: () => cpuSeconds(child.pid, ...children),
      async stop() {
        await published.stop();
        // A master that is killed leaves its workers behind.
        for (const pid of children) process.kill(Number(pid), "SIGKILL");
        await stop(child);
      },
    };
  },
});

const nchanModule = inBuilt("nchan/usr/lib/nginx/modules/ngx_nchan_module.so");
const nchan = server("Nchan", {
  missing: () => needsProgram("nginx")() ?? installed("nchan", nchanModule)(),
  files: ({ port, folder }) => ({
    "nginx.conf": `
      load_module ${nchanModule};
      daemon off;
      ${process.getuid() === 0 ? "user root;" : ""}
      worker_processes 1;
      worker_rlimit_nofile 20000;
      pid ${folder}/pid;
      error_log ${folder}/error.log crit;
      events { worker_connections 19000; multi_accept on; }
      http {
        access_log off;
        tcp_nodelay on;
        keepalive_requests 100000000;
        keepalive_timeout 1h;
        nchan_shared_memory_size 256M;
        client_body_temp_path ${folder}; proxy_temp_path ${folder}; fastcgi_temp_path ${folder};
        uwsgi_temp_path ${folder}; scgi_temp_path ${folder};
        server {
          listen 127.0.0.1:${port} backlog=4096;
          location = /publish { nchan_publisher; nchan_channel_id bench; nchan_message_buffer_length 1000; nchan_message_timeout 10s; }
          location = /events { nchan_subscriber eventsource; nchan_channel_id bench; nchan_subscriber_first_message newest; }
        }
      }`,
  }),
  command: (folder) => [onPath("nginx"), "-p", folder, "-c", path.join(folder, "nginx.conf")],
  target: "/events",
  publishing: { path: "/publish", body: "raw", dataBytes: dataBytes + 10, batch: 1, connections: 4 },
});

const secret = "a-key-of-the-benchmark-and-of-nothing-else";
function token(claims) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const signed = `${part({ alg: "HS256", typ: "JWT" })}.${part(claims)}`;
  return `${signed}.${createHmac("sha256", secret).update(signed).digest("base64url")}`;
}

const mercure = server("Mercure", {
  missing: needsProgram("mercure"),
  files: ({ port }) => ({
    Caddyfile: `
      {
        auto_https off
        admin off
        persist_config off
        log {
          level ERROR
        }
      }
      http://127.0.0.1:${port} {
        bind 127.0.0.1
        mercure {
          publisher_jwt ${secret} HS256
          subscriber_jwt ${secret} HS256
          protocol_version_compatibility 7
          anonymous
          transport local
          heartbeat 0s
          write_timeout 0s
        }
        respond 404
      }\n`,
  }),
  command: (folder) => [onPath("mercure"), "run", "--config", path.join(folder, "Caddyfile"), "--adapter", "caddyfile"],
  target: "/.well-known/mercure?topic=bench",
  publishing: {
    path: "/.well-known/mercure",
    body: "form",
    batch: 1,
    connections: 4,
    headers: `Authorization: Bearer ${token({ mercure: { publish: ["*"] } })}\r\n`,
  },
});

const centrifugo = server("Centrifugo", {
  missing: needsProgram("centrifugo"),
  files: ({ port }) => ({
    "config.json": JSON.stringify({
      http_server: { address: "127.0.0.1", port: String(port) },
      log: { level: "error" },
      client: { insecure: true, queue_max_size: 1 << 26 },
      channel: { without_namespace: { allow_subscribe_for_client: true, allow_subscribe_for_anonymous: true } },
      http_api: { insecure: true },
      uni_sse: { enabled: true },
      usage_stats: { disabled: true },
    }),
  }),
  command: (folder) => [onPath("centrifugo"), "--config", path.join(folder, "config.json")],
  target: `/connection/uni_sse?cf_connect=${encodeURIComponent(JSON.stringify({ subs: { bench: {} } }))}`,
  publishing: { path: "/api/publish", body: "wrapped", batch: 1, connections: 4 },
});

/** What the hub is measured beside, each at its best settings; what is not here says why. */
export const peers = [
  script("better-sse", "better-sse.mjs"),
  script("Hono streamSSE", "hono.mjs"),
  script("ws", "ws.mjs", upgrade("/")),
  script("Socket.IO", "socket-io.mjs", upgrade("/socket.io/?EIO=4&transport=websocket")),
  program("go-sse"),
  // Its listen backlog is 128: a thousand at once would wait for their second attempt.
  program("hyperlane", { rampMs: 5000 }),
  nchan,
  mercure,
  centrifugo,
];
