/** The executable, as people and scripts call it. */
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bin, runCli, runCommand, startCli, startCommand } from "./support/command.js";
import { type HubProcess, startHub } from "./support/hub.js";
import { until } from "./support/until.js";

let folder: string;
/** One that all tests share that do not care what else happens on it; each has a channel of its own. */
let hub: HubProcess;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "millrace-cli-"));
  hub = await startHub(["--store", "memory", "--retry", "50ms"]);
});

afterAll(async () => {
  await hub?.[Symbol.asyncDispose]();
  if (folder) await rm(folder, { recursive: true, force: true });
});

const portOf = (url: string) => new URL(url).port;
const oneLine = (text: string) => expect(text).toMatch(/^millrace-hub: [^\n]+\n$/);
const numbers = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, at) => String(from + at));

async function publish(url: string, channel: string, texts: readonly string[], headers: Record<string, string> = {}) {
  const response = await fetch(`${url}/publish`, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify(texts.map((data) => ({ channel, data }))),
  });
  expect(response.status).toBe(200);
  return ((await response.json()) as { ids: string[] }).ids;
}

async function connectionsOf(url: string): Promise<number> {
  const { connections } = (await (await fetch(`${url}/connections`)).json()) as { connections: unknown[] };
  return connections.length;
}

describe("help and version", () => {
  test.each([["--help"], ["-h"], ["help"]])("%s is an overview", async (flag) => {
    const { code, stdout, stderr } = await runCli([flag]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    for (const word of ["serve", "demo", "publish", "subscribe", "--port", "--store"]) expect(stdout).toContain(word);
    expect(stdout.split("\n").filter((line) => line.length > 80)).toEqual([]);
  });

  test.each(["serve", "demo", "publish", "subscribe"])("%s --help", async (command) => {
    const { code, stdout, stderr } = await runCli([command, "--port", "oops", "--help"]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toMatch(new RegExp(`^Usage:\n  millrace-hub ${command} `));
    expect(stdout.split("\n").filter((line) => line.length > 80)).toEqual([]);
  });

  test("--version", async () => {
    const manifest = new URL("../packages/millrace-hub/package.json", import.meta.url);
    const { version } = JSON.parse(await readFile(manifest, "utf8")) as { version: string };
    expect(await runCli(["--version"])).toMatchObject({ code: 0, stdout: `${version}\n`, stderr: "" });
  });

  test.each([
    [["serv"], /unknown command "serv": known are serve, demo, publish, subscribe/],
    [["constructor"], /unknown command "constructor"/],
    [["serve", "--prot", "1"], /unknown option --prot: known are --host, --port/],
    [["--prot", "1"], /unknown option --prot/],
    [["serve", "4000"], /unexpected argument "4000"/],
    [["subscribe", "--url", "localhost:4000"], /--url is not valid: it should be an address such as/],
    [["serve", "--store", "memory", "--durability", "power"], /--durability power contradicts --store memory: /],
    [["publish", "a", "b", "c"], /unexpected argument "c"/],
    [["serve", "--tls-cert", "cert.pem"], /--tls-cert and --tls-key go together/],
    [["serve", "--tls-cert", "none.pem", "--tls-key", "none.pem"], /the certificate cannot be read: ENOENT/],
    [["serve", "--host", "0.0.0.0"], /0\.0\.0\.0 can be reached from outside .*--api-key KEY.*--allow-anonymous/],
  ])("%j is an error in one line", async (args, message) => {
    const { code, stdout, stderr } = await runCli(args, { cwd: folder });
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    oneLine(stderr);
    expect(stderr).toMatch(message);
  });
});

describe("serve", () => {
  test("prints one line with its URL on standard output, and logs on standard error", async () => {
    await using own = await startHub(["--store", "memory", "--log-level", "debug"]);
    expect(own.stdout()).toMatch(/^[^\n]*http:\/\/127\.0\.0\.1:\d+\n$/);
    await publish(own.url, "general", ["hello"]);
    await until("the publish is logged", () => own.stderr().includes("publish"));
    expect(own.stderr()).toMatch(/^\[\d{4}-\d\d-\d\dT[\d:.]+Z\] INFO: about \d+ connections are possible/);
    expect(own.stdout()).toMatch(/^[^\n]*\n$/);
    expect((await fetch(`${own.url}/ready`)).status).toBe(200);
  });

  test("is what runs without a command", async () => {
    await using own = startCli(["--port", "0", "--store", "memory"]);
    await until("it is ready", () => own.lines().length > 0);
    expect(own.stdout()).toMatch(/^Millrace listens on http:\/\/127\.0\.0\.1:\d+\n$/);
  });

  test.each(["SIGTERM", "SIGINT"] as const)("ends on %s: clients are told, exit code 0", async (signal) => {
    await using own = await startHub(["--store", "memory"]);
    const response = await fetch(`${own.url}/events`);
    const text = response.text();
    own.kill(signal);
    expect(await own.exited).toEqual({ code: 0, signal: null });
    expect(await text).toMatch(/event: millrace\.close\n.*"reconnect":true/s);
    expect(own.stderr()).toMatch(new RegExp(`${signal}: stopping, 1 client is told to come back\n.*stopped\n$`));
  });

  test("goes on when nobody reads what it prints", async () => {
    // The hub is in the background: its reader has the line and goes.
    const script = `"${process.execPath}" "${bin}" serve --port 0 --store memory 2>&1 --log-level debug | grep -m 1 listens`;
    await using shell = startCommand("bash", ["-c", script], { cwd: folder, group: true });
    await until("the line", () => shell.lines().length > 0);
    const url = /http:\S+/.exec(shell.stdout())?.[0] ?? "";
    for (let at = 0; at < 5; at++) await publish(url, "general", ["into a log that nobody reads"]);
    expect((await fetch(`${url}/health`)).status).toBe(200);
  });

  test.each(["text", "json"])("goes on when its log cannot be written, as %s", async (format) => {
    const flags = `--port 0 --store memory --log-level debug --log-format ${format}`;
    const script = `exec "${process.execPath}" "${bin}" serve ${flags} 2>/dev/full`;
    await using shell = startCommand("bash", ["-c", script], { cwd: folder, group: true });
    await until("the line", () => shell.lines().length > 0);
    const url = /http:\S+/.exec(shell.stdout())?.[0] ?? "";
    for (let at = 0; at < 5; at++) await publish(url, "general", ["into a log that is full"]);
    expect((await fetch(`${url}/health`)).status).toBe(200);
    shell.kill("SIGTERM");
    expect(await shell.ended).toEqual({ code: 0, signal: null });
  });

  test("refuses a store that another hub has open, in one line", async () => {
    await using first = await startHub(["--store", "disk:./events"]);
    const second = await runCli(["serve", "--port", "0", "--store", "disk:./events"], { cwd: first.cwd });
    expect(second).toMatchObject({ code: 1, stdout: "" });
    oneLine(second.stderr);
    expect(second.stderr).toMatch(/--store disk:\.\/events cannot be opened: .* in use by another hub/);
    expect((await fetch(`${first.url}/health`)).status).toBe(200);
  });

  test("refuses a port that is taken, in one line, and leaves the store as it was", async () => {
    const second = await runCli(["serve", "--port", portOf(hub.url), "--store", "disk:./free"], { cwd: folder });
    expect(second).toMatchObject({ code: 1, stdout: "" });
    oneLine(second.stderr);
    expect(second.stderr).toMatch(/port \d+ on 127\.0\.0\.1 is taken: .*--port/);
    await using third = await startHub(["--store", "disk:./free"], { cwd: folder });
    expect((await fetch(`${third.url}/ready`)).status).toBe(200);
  });

  test("takes its options from a file and from variables", async () => {
    const config = join(folder, "hub.json");
    await writeFile(config, JSON.stringify({ store: "memory", "api-key": ["secret"], "log-format": "json" }));
    await using own = await startHub(["--config", config], { env: { MILLRACE_LOG_LEVEL: "debug" } });
    expect((await fetch(`${own.url}/connections`)).status).toBe(401);
    await publish(own.url, "general", ["hello"], { authorization: "Bearer secret" });
    await until("the publish is logged", () => own.stderr().includes('"publish"'));
    const logged = own
      .stderr()
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(logged.find(({ msg }) => msg === "publish")).toMatchObject({
      channel: "general",
      data: "hello",
      clients: 0,
    });
    expect(own.stderr()).not.toContain("secret");
  });

  test("says at start how many connections the descriptor limit allows", async () => {
    const start = (limit: number, flags: string) => {
      const serve = `ulimit -n ${limit} && exec "${process.execPath}" "${bin}" serve --port 0 --store memory ${flags}`;
      return startCommand("bash", ["-c", serve], { cwd: folder, group: true });
    };
    await using few = start(1024, "");
    await until("the line", () => few.lines().length > 0 && few.stderr() !== "");
    expect(few.stderr()).toMatch(
      /WARN: about 724 connections are possible: .* 1024 files open, raise it with ulimit -n/,
    );
    await using wanted = start(1024, "--max-connections 5000");
    await until("the line", () => wanted.lines().length > 0 && wanted.stderr() !== "");
    expect(wanted.stderr()).toMatch(/WARN: --max-connections is 5000, but this process may have 1024 files open/);
  });

  test("debug logs tell who comes, what is published, who leaves, and how many clients there are", async () => {
    await using own = await startHub(["--store", "memory", "--log-level", "debug"]);
    const controller = new AbortController();
    await fetch(`${own.url}/events?channel=news`, { signal: controller.signal });
    await publish(own.url, "news", [`a\nb${"x".repeat(300)}`]);
    controller.abort();
    await until("the client has left", () => own.stderr().includes("connection close"));
    const line = (what: string) =>
      own
        .stderr()
        .split("\n")
        .find((text) => text.includes(what)) ?? "";
    const fields = (what: string) => JSON.parse(line(what).slice(line(what).indexOf("{"))) as Record<string, unknown>;
    const opened = fields("DEBUG: connection open");
    expect(opened).toMatchObject({ remoteAddress: "127.0.0.1", clients: 1 });
    expect(fields("DEBUG: publish")).toMatchObject({ channel: "news", data: `a\nb${"x".repeat(197)}...`, clients: 1 });
    expect(fields("DEBUG: connection close")).toMatchObject({ id: opened.id, clients: 0 });
    expect(
      own
        .stderr()
        .split("\n")
        .slice(0, -1)
        .filter((text) => !/^\[\d{4}-/.test(text)),
    ).toEqual([]);
  });
});

describe("publish", () => {
  /** A server that answers each request with the next of `answers`, and resets the connection behind it. */
  async function breakingServer(answers: readonly string[]) {
    const requests: string[] = [];
    const server = net.createServer((socket) => {
      socket.on("error", () => {});
      let text = "";
      socket.on("data", (bytes) => {
        text += bytes;
        if (!text.endsWith('"data":"hello"}')) return;
        const answer = answers[requests.length] ?? "";
        requests.push(text);
        socket.write(answer, () => setTimeout(() => socket.resetAndDestroy(), 100));
      });
    });
    await once(server.listen(0, "127.0.0.1"), "listening");
    const { port } = server.address() as net.AddressInfo;
    return { url: `http://127.0.0.1:${port}`, requests, [Symbol.dispose]: () => void server.close() };
  }
  const head = (length: number) =>
    `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${length}\r\n\r\n`;
  const keysOf = (requests: readonly string[]) => requests.map((text) => /idempotency-key: (\S+)/i.exec(text)?.[1]);

  test("sends again, with the same key, what was answered by half", async () => {
    const whole = '{"ids":["e-1"]}';
    using server = await breakingServer([`${head(whole.length)}{"ids"`, head(whole.length) + whole]);
    const { code, stdout, stderr } = await runCli(["publish", "general", "hello", "--url", server.url]);
    expect({ code, stdout }).toEqual({ code: 0, stdout: "e-1\n" });
    oneLine(stderr);
    expect(stderr).toMatch(/; trying again$/m);
    const [first, second] = keysOf(server.requests);
    expect(first).toBeDefined();
    expect(second).toBe(first);
  });

  test.each(["null", "hello", '{"id":1}'])("does not send again what was answered by %s", async (body) => {
    using server = await breakingServer([head(body.length) + body]);
    const { code, stdout, stderr } = await runCli(["publish", "general", "hello", "--url", server.url]);
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    oneLine(stderr);
    expect(stderr).toMatch(/answers, but not as a hub does/);
    expect(server.requests).toHaveLength(1);
  });

  const rewind = (channel: string, count: number) =>
    runCli(["subscribe", channel, "--rewind", "all", "--count", String(count), "--url", hub.url]);

  test("sends DATA and prints its id", async () => {
    const { code, stdout, stderr } = await runCli([
      "publish",
      "one",
      "Hello, wörld",
      "--event",
      "greeting",
      "--url",
      hub.url,
    ]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toMatch(/^[\w-]+-\d+\n$/);
    const { stdout: received } = await runCli([
      "subscribe",
      "one",
      "--rewind",
      "1",
      "--count",
      "1",
      "--json",
      "--url",
      hub.url,
    ]);
    expect(JSON.parse(received)).toMatchObject({
      channel: "one",
      event: "greeting",
      data: "Hello, wörld",
      id: stdout.trim(),
    });
  });

  test("sends data that begins with a dash, and empty data", async () => {
    expect(await runCli(["publish", "--url", hub.url, "dash", "--", "-5"])).toMatchObject({ code: 0, stderr: "" });
    expect(await runCli(["publish", "dash", "", "--url", hub.url])).toMatchObject({ code: 0, stderr: "" });
    expect((await rewind("dash", 2)).stdout).toBe("-5\n\n");
  });

  test("means general when no channel is named, and takes the URL from its variable", async () => {
    const env = { MILLRACE_URL: hub.url };
    await using reader = startCli(["subscribe", "--count", "1"], { env });
    await until("the reader is there", async () => (await connectionsOf(hub.url)) === 1);
    await runCli(["publish"], { env, input: "hello general" });
    expect(await reader.ended).toEqual({ code: 0, signal: null });
    expect(reader.stdout()).toBe("hello general\n");
  });

  test("sends 10,000 lines of standard input in their order, an id for each", async () => {
    const lines = numbers(1, 10_000).map((number) => `line ${number} ${"x".repeat(Number(number) % 90)}`);
    const { code, stdout, stderr } = await runCli(["publish", "many", "--url", hub.url], {
      input: `${lines.join("\n")}\n`,
    });
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const sequences = stdout
      .trim()
      .split("\n")
      .map((id) => Number(id.split("-")[1]));
    expect(sequences).toHaveLength(10_000);
    expect(sequences.every((sequence, at) => at === 0 || sequence > (sequences[at - 1] ?? 0))).toBe(true);
    expect((await rewind("many", 10_000)).stdout.trim().split("\n")).toEqual(lines);
  });

  test("takes LF and CR LF for ends of lines, and nothing else", async () => {
    await runCli(["publish", "ends", "--url", hub.url], { input: "a\r\nb\u2028c\n\nlast without an end" });
    const lines = ["a", "b\\u2028c", "", "last without an end"];
    expect((await rewind("ends", 4)).stdout).toBe(`${lines.join("\n")}\n`);
  });

  test("sends each line soon when someone types them", async () => {
    await using typed = startCli(["publish", "typed", "--url", hub.url]);
    for (const count of [1, 2, 3]) {
      typed.write(`line ${count}\n`);
      await until(`id ${count}`, () => typed.lines().length === count);
    }
    typed.endInput();
    expect(await typed.ended).toEqual({ code: 0, signal: null });
  });

  test("sends smaller requests to a hub that takes no larger ones", async () => {
    await using small = await startHub(["--store", "memory", "--body-limit", "2KiB"]);
    const input = numbers(1, 300).join("\n");
    const { code, stdout, stderr } = await runCli(["publish", "--url", small.url], { input });
    expect({ code, stderr, ids: stdout.trim().split("\n").length }).toEqual({ code: 0, stderr: "", ids: 300 });
  });

  test("goes on over a restart of the hub without loss or doubles", async () => {
    const first = await startHub(["--store", "disk:./events"], { cwd: folder });
    await using writer = startCli(["publish", "restart", "--url", first.url]);
    writer.write("before\n");
    await until("the first id", () => writer.lines().length === 1);
    first.kill("SIGKILL");
    await first.exited;
    writer.write("meanwhile\nafter\n");
    await using second = await startHub(["--store", "disk:./events", "--port", portOf(first.url)], { cwd: folder });
    writer.endInput();
    expect(await writer.ended).toEqual({ code: 0, signal: null });
    const flags = ["--rewind", "all", "--count", "3", "--url", second.url];
    expect((await runCli(["subscribe", "restart", ...flags])).stdout).toBe("before\nmeanwhile\nafter\n");
  });

  test("says why the hub refuses, at once, though its input is still open", async () => {
    await using writer = startCli(["publish", "@nobody/x", "--url", hub.url]);
    writer.write("hello\n");
    expect(await writer.ended).toEqual({ code: 1, signal: null });
    oneLine(writer.stderr());
    expect(writer.stderr()).toMatch(/"@nobody\/x" begins with "@"/);
  });

  test("says that no hub answers, or that no hub is what answers", async () => {
    const nobody = await runCli(["publish", "a", "b", "--url", "http://127.0.0.1:2"]);
    expect(nobody).toMatchObject({ code: 1, stdout: "" });
    expect(nobody.stderr).toMatch(
      /^millrace-hub: http:\/\/127\.0\.0\.1:2 cannot be reached: \w.*; trying again\nmillrace-hub: .* cannot be reached: .*\n$/,
    );
    const other = await runCli(["publish", "a", "b", "--url", `${hub.url}/elsewhere`]);
    expect(other).toMatchObject({ code: 1, stdout: "" });
    oneLine(other.stderr);
  });
});

describe("subscribe", () => {
  test.each([
    ["a cursor that no header can carry", ["--last-event-id", "naïve€"], /cannot be sent: /],
    ["a cursor of two lines", ["--last-event-id", "one\ntwo\u001b"], /cannot be sent: [^\p{Cc}]*\n$/u],
    ["a cursor with a control character", ["--last-event-id", "one\u001btwo"], /cannot be sent: .*last-event-id/],
    ["a port that fetch refuses", ["--url", "http://127.0.0.1:6000"], /cannot be sent: bad port/],
  ])("does not try again what can never be sent: %s", async (_, flags, message) => {
    const { code, stdout, stderr } = await runCli(["subscribe", "--url", hub.url, ...flags]);
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    oneLine(stderr);
    expect(stderr).toMatch(message);
  });

  test("repeats no password of an address", async () => {
    for (const url of ["http://user:hush@127.0.0.1:4000", "user:hush@127.0.0.1", "http://user:hush@127.0.0.1:99999"]) {
      const { code, stdout, stderr } = await runCli(["subscribe", "--url", url]);
      expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
      oneLine(stderr);
      expect(stderr).toMatch(/--url is not valid: .* without a user or a password/);
      expect(stderr).not.toMatch(/hush|user:/);
    }
  });

  test("prints one event a line, control characters escaped", async () => {
    const texts = ["plain", "two\nlines", "\u001b[2Jclear", "tab\tstays", "\r\n", "\u0085\u2028\u202e"];
    await publish(hub.url, "escapes", texts);
    const flags = ["--rewind", "all", "--count", String(texts.length), "--url", hub.url];
    const { code, stdout, stderr } = await runCli(["subscribe", "escapes", ...flags]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const expected = ["plain", "two\\nlines", "\\u001b[2Jclear", "tab\tstays", "\\n", "\\u0085\\u2028\\u202e"];
    expect(stdout).toBe(`${expected.join("\n")}\n`);
    const json = await runCli(["subscribe", "escapes", "--json", ...flags]);
    const envelopes = json.stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as { data: string });
    // A stream's line ends are all LF.
    expect(envelopes.map(({ data }) => data)).toEqual(texts.map((text) => text.replaceAll("\r\n", "\n")));
  });

  test("follows several channels and all below a prefix", async () => {
    const channels = ["mix/a", "mix/b/c", "mixed"];
    await using reader = startCli(["subscribe", "mix/*", "mixed", "--count", "3", "--url", hub.url]);
    await until("the reader is there", async () => (await connectionsOf(hub.url)) === 1);
    await publish(hub.url, "mix", ["not this"]);
    for (const channel of channels) await publish(hub.url, channel, [`on ${channel}`]);
    expect(await reader.ended).toEqual({ code: 0, signal: null });
    expect(reader.lines()).toEqual(channels.map((channel) => `on ${channel}`));
  });

  test("begins where --rewind or --last-event-id say", async () => {
    const ids = await publish(hub.url, "begin", ["1", "2", "3", "4"]);
    const read = async (count: number, ...flags: string[]) =>
      (await runCli(["subscribe", "begin", ...flags, "--count", String(count), "--url", hub.url])).stdout;
    expect(await read(2, "--rewind", "2")).toBe("3\n4\n");
    expect(await read(4, "--rewind", "all")).toBe("1\n2\n3\n4\n");
    expect(await read(3, "--last-event-id", ids[0] ?? "")).toBe("2\n3\n4\n");
  });

  test("prints events that are called heartbeat, but no heartbeats", async () => {
    await using own = await startHub(["--store", "memory", "--heartbeat", "50ms", "--heartbeat-form", "event"]);
    await using reader = startCli(["subscribe", "--count", "1", "--url", own.url]);
    await until("the reader is there", async () => (await connectionsOf(own.url)) === 1);
    const stream = await fetch(`${own.url}/events`);
    for await (const chunk of stream.body ?? []) if (Buffer.from(chunk).includes("event: heartbeat")) break;
    await runCli(["publish", "general", "mine", "--event", "heartbeat", "--url", own.url]);
    expect(await reader.ended).toEqual({ code: 0, signal: null });
    expect(reader.stdout()).toBe("mine\n");
  });

  test("goes on over a restart of the hub with SIGKILL, without loss or doubles", async () => {
    const first = await startHub(["--store", "disk:./resume", "--retry", "50ms"], { cwd: folder });
    await using reader = startCli(["subscribe", "steps", "--count", "100", "--url", first.url]);
    await until("the reader is there", async () => (await connectionsOf(first.url)) === 1);
    await publish(first.url, "steps", numbers(1, 30));
    await until("a part has come", () => reader.lines().length > 0);
    await publish(first.url, "steps", numbers(31, 60));
    first.kill("SIGKILL");
    await first.exited;
    await until("the reader has noticed", () => reader.stderr().includes("trying again"));
    await using second = await startHub(["--store", "disk:./resume", "--retry", "50ms", "--port", portOf(first.url)], {
      cwd: folder,
    });
    await publish(second.url, "steps", numbers(61, 100));
    expect(await reader.ended).toEqual({ code: 0, signal: null });
    expect(reader.lines()).toEqual(numbers(1, 100));
    expect(reader.stderr()).not.toContain("missing");
  });

  test("notices a hub that vanishes without a word", async () => {
    await using own = await startHub(["--store", "memory", "--heartbeat", "100ms", "--retry", "50ms"]);
    await using reader = startCli(["subscribe", "--count", "1", "--url", own.url]);
    await until("the reader is there", async () => (await connectionsOf(own.url)) === 1);
    own.kill("SIGSTOP");
    try {
      await until("it is noticed", () => /nothing has come from it for too long; trying again/.test(reader.stderr()));
    } finally {
      own.kill("SIGCONT");
    }
    await until("it is back", async () => (await connectionsOf(own.url)) === 1);
    await publish(own.url, "general", ["hello again"]);
    expect(await reader.ended).toEqual({ code: 0, signal: null });
    expect(reader.stdout()).toBe("hello again\n");
  });

  test("says on standard error when events are missing", async () => {
    await using own = await startHub(["--store", "memory", "--retention-events", "3"]);
    const [id = ""] = await publish(own.url, "general", numbers(1, 10));
    const flags = ["--last-event-id", id, "--count", "3", "--url", own.url];
    const { code, stdout, stderr } = await runCli(["subscribe", ...flags]);
    expect({ code, stdout }).toEqual({ code: 0, stdout: "8\n9\n10\n" });
    oneLine(stderr);
    expect(stderr).toMatch(/events are missing here: .*"reason":"dropped"/);
    const strange = await runCli(["subscribe", "--last-event-id", "restored-99", "--count", "3", "--url", own.url]);
    expect(strange.stderr).toMatch(/events are missing here: .*"reason":"unknown"/);
  });

  test("ends when the hub says so", async () => {
    await using own = await startHub(["--store", "memory"]);
    await using reader = startCli(["subscribe", "--url", own.url]);
    await until("the reader is there", async () => (await connectionsOf(own.url)) === 1);
    const { connections } = (await (await fetch(`${own.url}/connections`)).json()) as { connections: { id: string }[] };
    await fetch(`${own.url}/connections/${connections[0]?.id}?reconnect=false`, { method: "DELETE" });
    expect(await reader.ended).toEqual({ code: 0, signal: null });
    oneLine(reader.stderr());
  });

  test("with a wrong key ends with one line; with the right one, from a variable, it reads", async () => {
    await using own = await startHub(["--store", "memory", "--host", "0.0.0.0", "--api-key", "right"]);
    const url = `http://127.0.0.1:${portOf(own.url)}`;
    for (const key of [[], ["--api-key", "wrong"]]) {
      const { code, stdout, stderr } = await runCli(["subscribe", ...key, "--url", url]);
      expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
      oneLine(stderr);
      expect(stderr).toMatch(key.length === 0 ? /needs the API key/ : /the API key is not right/);
      expect(stderr).not.toContain("wrong");
    }
    const env = { MILLRACE_API_KEY: "right", MILLRACE_URL: url };
    expect(await runCli(["publish", "general", "hello"], { env })).toMatchObject({ code: 0, stderr: "" });
    expect((await runCli(["subscribe", "--rewind", "1", "--count", "1"], { env })).stdout).toBe("hello\n");
  });

  test("ends quietly when nobody reads it any more", async () => {
    await publish(hub.url, "pipe", numbers(1, 1000));
    const command = `"${process.execPath}" "${bin}" subscribe pipe --rewind all --url ${hub.url} | head -1`;
    const { code, stdout, stderr } = await runCommand("bash", ["-c", `set -o pipefail; ${command}`]);
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: "1\n", stderr: "" });
  });
});

describe("TLS, and HTTP/2", () => {
  let cert: string;
  let tls: string[];

  beforeAll(async () => {
    cert = join(folder, "cert.pem");
    const key = join(folder, "key.pem");
    tls = ["--tls-cert", cert, "--tls-key", key];
    const subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"];
    const made = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
    const { code, stderr } = await runCommand("openssl", [...made, "-keyout", key, "-out", cert, ...subject]);
    expect(code, stderr).toBe(0);
  });

  /** What curl reads of a stream that begins with one event, and the version of HTTP that it came by. */
  async function curlStream(url: string, ...flags: string[]): Promise<string> {
    await publish2(url, flags);
    await using curl = startCommand("curl", [
      ...["-sSN", ...flags, "-w", "version %{http_version}"],
      `${url}/events?channel=curl&rewind=1`,
    ]);
    await until("the event", () => curl.stdout().includes("data: over curl\n\n") || curl.stderr() !== "");
    await end(url, flags);
    await curl.ended;
    expect(curl.stderr()).toBe("");
    return curl.stdout();
  }

  async function publish2(url: string, flags: string[]) {
    const body = '{"channel":"curl","data":"over curl"}';
    const json = ["-H", "content-type: application/json", "-d", body];
    const { stdout, stderr } = await runCommand("curl", ["-sS", ...flags, ...json, `${url}/publish`]);
    expect(JSON.parse(stdout || stderr)).toMatchObject({ ids: [expect.any(String)] });
  }

  /** Ends all streams of a hub, so that curl says what it has to say. */
  async function end(url: string, flags: string[]) {
    const { stdout } = await runCommand("curl", ["-sS", ...flags, `${url}/connections`]);
    const { connections } = JSON.parse(stdout) as { connections: { id: string }[] };
    for (const { id } of connections) {
      await runCommand("curl", ["-sS", ...flags, "-X", "DELETE", `${url}/connections/${id}?reconnect=false`]);
    }
  }

  test("a certificate makes it HTTPS, by HTTP/1.1 and HTTP/2", async () => {
    await using own = await startHub(["--store", "memory", ...tls]);
    expect(own.url).toMatch(/^https:/);
    expect(await curlStream(own.url, "--cacert", cert, "--http1.1")).toMatch(/millrace\.close.*version 1\.1$/s);
    expect(await curlStream(own.url, "--cacert", cert, "--http2")).toMatch(/millrace\.close.*version 2$/s);
    const env = { NODE_EXTRA_CA_CERTS: cert, MILLRACE_URL: own.url };
    expect(await runCli(["publish", "tls", "by our own client"], { env })).toMatchObject({ code: 0, stderr: "" });
    const { stdout } = await runCli(["subscribe", "tls", "--rewind", "1", "--count", "1"], { env });
    expect(stdout).toBe("by our own client\n");
    for (const command of [["publish", "tls", "x"], ["subscribe"]]) {
      const untrusting = await runCli([...command, "--url", own.url]);
      expect(untrusting.code).toBe(1);
      oneLine(untrusting.stderr);
      expect(untrusting.stderr).toMatch(/cannot be reached: \w*CERT/);
    }
  });

  test("without one, HTTP/2 is spoken with those that begin with it", async () => {
    expect(await curlStream(hub.url, "--http2-prior-knowledge")).toMatch(/version 2$/);
    expect(await curlStream(hub.url, "--http1.1")).toMatch(/version 1\.1$/);
  });

  test("ends its HTTP/2 streams too when it is stopped", async () => {
    await using own = await startHub(["--store", "memory"]);
    await using curl = startCommand("curl", ["-sSN", "--http2-prior-knowledge", `${own.url}/events`]);
    await until("the stream is open", () => curl.stdout().includes("retry:"));
    own.kill("SIGTERM");
    expect(await own.exited).toEqual({ code: 0, signal: null });
    await curl.ended;
    expect(curl.stdout()).toContain("event: millrace.close");
  });
});

test("docs/configuration.md is what the options say", async () => {
  const script = fileURLToPath(new URL("../scripts/write-configuration.mjs", import.meta.url));
  expect(await runCommand(process.execPath, [script, "--check"])).toMatchObject({ code: 0, stderr: "" });
});
