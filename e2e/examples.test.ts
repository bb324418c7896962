/** The examples, run as their head comments say. */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createHub } from "millrace";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Command, runCommand, startCommand } from "./support/command.js";
import { examples, listen, post, startExample } from "./support/example.js";
import { type HubProcess, startHub } from "./support/hub.js";
import { until } from "./support/until.js";

const opened = (curl: Command) => until("the stream is open", () => curl.stdout().includes("retry:"));

describe("examples/node/embedded.mjs", () => {
  test("publishes an order, shows it to pages and to itself, and stops", async () => {
    const { command, url } = await startExample(process.execPath, ["node/embedded.mjs"], { PORT: "0" });
    await using _ = command;
    expect(await (await fetch(url)).text()).toContain("new EventSource(");
    await using curl = listen(`${url}/events?channel=orders&rewind=10`);
    await opened(curl);
    const { status, text } = await post(`${url}/orders`, "green tea");
    expect(status).toBe(201);
    await until("the page has it", () =>
      curl.stdout().includes('event: order\nchannel: orders\ndata: {"what":"green tea"}'),
    );
    await until("the program has it", () => command.stdout().includes(`${text.trim()}: green tea\n`));
    expect((await post(`${url}/publish`, { data: "by a stranger" })).status).toBe(403);
    expect((await fetch(`${url}/nothing`)).status).toBe(404);
    command.kill("SIGINT");
    expect(await command.ended).toEqual({ code: 0, signal: null });
    expect(command.stderr()).toBe("");
    await curl.ended;
    expect(curl.stdout()).toContain("event: millrace.close");
  });
});

describe("examples/fetch/server.mjs", () => {
  test("counts visits for all who listen, and stops", async () => {
    const { command, url } = await startExample(process.execPath, ["fetch/server.mjs"], { PORT: "0" });
    await using _ = command;
    await using first = listen(`${url}/events?channel=visits`);
    await using second = listen(`${url}/events?channel=visits`);
    await opened(first);
    await opened(second);
    for (const visitor of [1, 2, 3]) expect(await (await fetch(url)).text()).toBe(`Hello, visitor ${visitor}.\n`);
    for (const curl of [first, second]) {
      await until("the third visit", () => curl.stdout().includes('data: {"number":3}'));
      expect(curl.stdout().match(/"number":\d/g)).toEqual(['"number":1', '"number":2', '"number":3']);
    }
    first.kill();
    await first.ended;
    expect(await (await fetch(url)).text()).toBe("Hello, visitor 4.\n");
    await until("the fourth", () => second.stdout().includes('"number":4'));
    command.kill("SIGTERM");
    expect(await command.ended).toEqual({ code: 0, signal: null });
    expect(command.stderr()).toBe("");
  });
});

describe("examples/curl", () => {
  let folder: string;
  const script = (name: string) => join(examples, "curl", name);

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "millrace-curl-"));
  });

  afterAll(async () => {
    await rm(folder, { recursive: true, force: true });
  });

  test("publish.sh and subscribe.sh, over a restart of the hub", async () => {
    const flags = ["--store", "disk:./events", "--api-key", "secret", "--retry", "100ms"];
    const first = await startHub(flags, { cwd: folder });
    const env = { MILLRACE_URL: first.url, MILLRACE_API_KEY: "secret", MILLRACE_CURSOR: join(folder, "cursor") };
    const publish = (...args: string[]) => runCommand("sh", [script("publish.sh"), ...args], { env });
    await using reader = startCommand("sh", [script("subscribe.sh"), "news", "chat/*"], { env, group: true });
    await until("the reader is there", async () => {
      const headers = { authorization: "Bearer secret" };
      const { connections } = (await (await fetch(`${first.url}/connections`, { headers })).json()) as {
        connections: { channels: string[] }[];
      };
      return connections[0]?.channels.join() === "news,chat/*";
    });
    const said = await publish("news", 'She said "it\trains" \\o/ & left\nfor good', "headline");
    expect(said).toMatchObject({ code: 0, stderr: "" });
    expect(said.stdout).toMatch(/^[\w-]+-\d+\n$/);
    await publish("chat/room", "ünïcödé 🎉");
    const expected = ['She said "it\trains" \\o/ & left', "for good", "ünïcödé 🎉"];
    await until("both have come", () => reader.lines().length === 3);
    first.kill("SIGKILL");
    await first.exited;
    await using second = await startHub([...flags, "--port", new URL(first.url).port], { cwd: folder });
    const last = await publish("news", "after the restart");
    await until("the last has come", () => reader.lines().length === 4);
    // First printed, then remembered.
    await until("it is remembered", async () => (await readFile(env.MILLRACE_CURSOR, "utf8")).startsWith(last.stdout));
    expect(reader.lines()).toEqual([...expected, "after the restart"]);
    expect(reader.stderr()).toBe("");
    reader.kill("SIGTERM");
    await reader.ended;

    await publish("news", "while nobody listened");
    await using later = startCommand("sh", [script("subscribe.sh"), "news", "chat/*"], { env, group: true });
    await until("what was missed", () => later.lines().length === 1);
    expect(later.lines()).toEqual(["while nobody listened"]);
    later.kill("SIGTERM");
    await later.ended;

    const refused = await runCommand("sh", [script("publish.sh"), "@news", "x"], { env });
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain("begins with");
    const stranger = { ...env, MILLRACE_API_KEY: "wrong" };
    const forbidden = await runCommand("sh", [script("subscribe.sh")], { env: stranger, group: true });
    expect(forbidden).toMatchObject({ code: 1, stdout: "" });
    expect(forbidden.stderr).toContain("the API key is not right");
    expect((await runCommand("sh", [script("publish.sh")])).code).toBe(2);
    expect(second.stderr()).not.toContain("secret");
  });

  test("subscribe.sh ends when the hub says so", async () => {
    await using hub = await startHub(["--store", "memory"]);
    const env = { MILLRACE_URL: hub.url };
    await using reader = startCommand("sh", [script("subscribe.sh")], { env, group: true });
    let id: string | undefined;
    await until("the reader is there", async () => {
      const { connections } = (await (await fetch(`${hub.url}/connections`)).json()) as {
        connections: { id: string }[];
      };
      id = connections[0]?.id;
      return id;
    });
    await fetch(`${hub.url}/connections/${id}?reconnect=false`, { method: "DELETE" });
    expect(await reader.ended).toEqual({ code: 0, signal: null });
  });

  test("the commands of the README work as they stand", async () => {
    await using hub = await startHub(["--store", "memory"]);
    const readme = await readFile(join(examples, "curl/README.md"), "utf8");
    const block = [...readme.matchAll(/```sh\n(.*?)```/gs)].at(-1)?.[1] ?? "";
    const commands = block
      .replaceAll("http://127.0.0.1:4000", hub.url)
      .split(/\n\n/)
      .flatMap((part) => part.replace(/^#.*\n/gm, "").split(/\n(?=curl)/));
    expect(commands.length).toBeGreaterThanOrEqual(8);
    await using reader = listen(`${hub.url}/events`);
    await opened(reader);
    const { connections } = (await (await fetch(`${hub.url}/connections`)).json()) as { connections: { id: string }[] };
    for (const command of commands) {
      // A stream has no end: what has come within a second is looked at.
      const endless = command.includes("curl -N");
      const text = command
        .replace("/ID", `/${connections[0]?.id}`)
        .replace(/^curl |(\s)curl /, "$1curl -sS --max-time 1 ");
      const { code, stdout, stderr } = await runCommand("bash", ["-c", `set -o pipefail; ${text}`]);
      expect({ command, code }).toEqual({ command, code: endless ? 28 : 0 });
      expect(stdout + stderr).not.toMatch(/"status":4/);
    }
    await reader.ended;
    expect(reader.stdout()).toContain("data: only for you");
    expect(reader.stdout()).toContain("event: millrace.close");
  });
});

const python = await runCommand("python3", ["-c", "import ensurepip, venv"]);
const skipReason = "no python3 with venv on this machine (Debian: apt-get install python3-venv)";

describe.skipIf(python.code !== 0)("examples/flask", { meta: { skipReason } }, () => {
  let venv: string;

  /** The environment that the README tells to make, kept between runs: it is made anew when the requirements change. */
  beforeAll(async () => {
    const requirements = join(examples, "flask/requirements.txt");
    const hash = createHash("sha256")
      .update(await readFile(requirements))
      .digest("hex")
      .slice(0, 16);
    const cache = fileURLToPath(new URL("../node_modules/.cache", import.meta.url));
    venv = join(cache, `examples-flask-${hash}`);
    const complete = join(venv, "complete");
    if (existsSync(complete)) return;
    await rm(venv, { recursive: true, force: true });
    await mkdir(cache, { recursive: true });
    const made = await runCommand("python3", ["-m", "venv", venv]);
    expect(made.code, made.stderr).toBe(0);
    const pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", requirements];
    const installed = await runCommand(join(venv, "bin/python"), pip);
    expect(installed.code, installed.stderr).toBe(0);
    await writeFile(complete, "");
  });

  async function startFlask(env: Record<string, string>) {
    const args = ["--app", "app", "run", "--port", "0"];
    const variables = { ...env, PYTHONDONTWRITEBYTECODE: "1" };
    return startExample(join(venv, "bin/flask"), args, variables, join(examples, "flask"));
  }

  test("publishes, lists and notifies through the hub command", async () => {
    await using hub: HubProcess = await startHub(["--store", "memory", "--api-key", "secret"]);
    const { command, url } = await startFlask({ MILLRACE_URL: hub.url, MILLRACE_API_KEY: "secret" });
    await using _ = command;
    await using one = listen(`${hub.url}/events?channel=news`);
    await opened(one);
    await using other = listen(`${hub.url}/events?channel=news`);
    await opened(other);

    expect(await post(`${url}/news`, { title: "It rains" })).toMatchObject({ status: 201 });
    for (const curl of [one, other])
      await until("the news", () => curl.stdout().includes('data: {"title":"It rains"}'));

    const clients = (await (await fetch(`${url}/clients`)).json()) as { id: string; channels: string[] }[];
    expect(clients.map(({ channels }) => channels)).toEqual([["news"], ["news"]]);
    const notified = await post(`${url}/clients/${clients[0]?.id}/notify`, { type: "success", message: "only you" });
    expect(notified).toMatchObject({ status: 201, text: expect.stringContaining('"sent":true') });
    await until("the notification", () => one.stdout().includes("only you"));
    const data = JSON.parse(/^data: (.*only you.*)$/m.exec(one.stdout())?.[1] ?? "") as Record<string, string>;
    expect(data).toMatchObject({ type: "success", message: "only you" });
    expect(Date.parse(data.timestamp ?? "")).toBeGreaterThan(Date.now() - 60_000);
    await post(`${url}/clients/${clients[0]?.id}/notify`, { type: "shout", message: "unknown kind" });
    await until("as info", () => one.stdout().includes('"type":"info"'));
    expect(other.stdout()).not.toContain("only you");

    const nobody = await post(`${url}/clients/nobody/notify`, { message: "lost" });
    expect(nobody).toMatchObject({ status: 404, text: expect.stringContaining('"sent":false') });
    expect((await post(`${url}/users/alice/notify`, { message: "kept" })).status).toBe(201);

    expect((await fetch(`${url}/clients/${clients[1]?.id}`, { method: "DELETE" })).status).toBe(204);
    await other.ended;
    expect(other.stdout()).toMatch(/event: millrace\.close\ndata: .*"reconnect":false/);
  });

  test("notifies one user wherever he is connected, over one connection that is kept alive", async () => {
    const hub = createHub({
      authorize: (request, { action }) => {
        const user = new URLSearchParams(request.query).get("user");
        return action === "subscribe" && user ? { user } : {};
      },
      allowedParameters: ["user"],
    });
    const server = http.createServer(hub.listener);
    let connections = 0;
    const requests = new Set<string | undefined>();
    server.on("request", ({ url, headers }) => {
      if (url?.startsWith("/publish")) requests.add(headers["idempotency-key"] as string | undefined);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const hubUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    try {
      const { command, url } = await startFlask({ MILLRACE_URL: hubUrl });
      await using _ = command;
      await using desk = listen(`${hubUrl}/events?user=alice`);
      await using phone = listen(`${hubUrl}/events?user=alice`);
      await using other = listen(`${hubUrl}/events?user=bob`);
      for (const curl of [desk, phone, other]) await opened(curl);
      server.on("connection", () => {
        connections += 1;
      });
      for (let at = 1; at <= 5; at++) {
        expect((await post(`${url}/users/alice/notify`, { type: "warning", message: `for Alice ${at}` })).status).toBe(
          201,
        );
      }
      for (const curl of [desk, phone]) await until("the last", () => curl.stdout().includes("for Alice 5"));
      expect(other.stdout()).not.toContain("for Alice");
      expect(connections).toBe(1);
      expect(requests.size).toBe(5);
    } finally {
      await hub.close({ drainMs: 500 });
      server.closeAllConnections();
      server.close();
    }
  });
});
