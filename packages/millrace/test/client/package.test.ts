/** The client as it is published: built, its types for all kinds of users, and what it does to a process. */
import { execFile } from "node:child_process";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startFaultServer } from "../../src/testing/index.js";
import { buildClient, compile } from "./support/build.js";

const run = promisify(execFile);
let folder: string;
beforeAll(() => {
  folder = buildClient();
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const node = (code: string, ...flags: string[]) =>
  run(process.execPath, [...flags, "--input-type=module", "--eval", code], { cwd: folder, timeout: 10_000 });

describe("types", () => {
  const everywhere = `
    const source = new EventSource("http://x/", { withCredentials: true });
    source.onmessage = (event) => { const texts: string[] = [event.data, event.lastEventId, event.origin]; };
    source.onerror = (event) => { const code: number | undefined = event.code, text: string | undefined = event.message; };
    source.addEventListener("price", (event) => { const text: string = event.data; });
    source.addEventListener("open", function (event) { this.close(); event.type; }, { once: true });
    source.addEventListener("error", (event) => { event.code; });
    const facts: [number, 2, string] = [source.readyState, EventSource.CLOSED, source.url];
    const body = { getReader: () => ({ read: async () => ({ done: true as const }), cancel: async () => {} }) };
    const own: FetchLike = async (url) => ({ body, url: String(url), status: 200, redirected: false, headers: new Map() });
    new EventSource("http://x/", { fetch: async (url, init) => { init.headers.Accept; return own(url, init); } });
    const stream = connect<{ price: { value: number }; message: string }>("http://x/", { fetch: async (url) => own(url, {} as never) });
    stream.on("price", ({ data }) => { const value: number = data.value; });
    stream.on("*", (event) => { if (event.type === "message") { const text: string = event.data; } });
    stream.on("state", ({ state, waitMs }) => { const name: string = state, ms: number | undefined = waitMs; });
    stream.on("gap", ({ may, channels }) => { const names: readonly string[] = may ? [] : channels; });
    const loop = async () => { for await (const { data, id } of stream) { const given: string | { value: number } = data; } };
    connect("http://x/").on("anything", ({ data, channel }) => { const unknown: unknown = data, name: string | undefined = channel; });
    // @ts-expect-error the map says that it is a number
    stream.on("price", ({ data }) => { const value: string = data.value; });
  `.replace("new Map()", "{ get: () => null }");
  const withFetch = `
    new EventSource(new URL("http://x/"), { fetch });
    connect(new URL("http://x/"), { fetch, signal: new AbortController().signal, headers: async () => ({ a: "b" }) });
    connect("http://x/", { snapshot: async (signal) => ({ position: "", data: await fetch("/", { signal }) }) });
    new EventSource("http://x/", { fetch: (url, init) => fetch(url, { ...init, headers: { ...init.headers, a: "b" } }) });
    const target: EventTarget = source;
    source.addEventListener("x", () => {}, { signal: new AbortController().signal });
  `;
  const withDom = `${withFetch}
    const native: globalThis.EventSource = source;
    source.onmessage = (event: MessageEvent<string>) => { event.ports; };
    source.addEventListener("x", (event: MessageEvent) => { event.data; });
    source.addEventListener("x", { handleEvent(event: Event) {} });
    const listener = (event: Event) => {};
    source.addEventListener("message", listener);
    source.removeEventListener("message", listener);
  `;
  const root = fileURLToPath(new URL("../../../..", import.meta.url));

  test.each([
    ["with neither", "es2023", "", everywhere],
    ["with the DOM's", "es2023,dom", "", everywhere + withDom],
    ["with Node's", "es2023", "node", everywhere + withFetch],
    ["with both", "es2023,dom", "node", everywhere + withDom],
    ["in a worker", "es2023,webworker", "", everywhere + withFetch],
  ])("compile %s", (name, lib, types, code) => {
    const file = join(folder, `${name.replaceAll(/\W/g, "-")}.ts`);
    writeFileSync(
      file,
      `import { connect, EventSource, type FetchLike } from "./client/index.js";\n${code}\nexport {};\n`,
    );
    const strict = ["--strict", "--exactOptionalPropertyTypes", "--noUncheckedIndexedAccess"];
    const target = ["--target", "es2023", "--module", "nodenext", "--lib", lib, "--types", types];
    const typeRoots = ["--typeRoots", join(root, "node_modules/@types")];
    compile(["--ignoreConfig", "--noEmit", ...strict, ...target, ...typeRoots, file], folder);
  });
});

test("can be imported where there is nothing of the web, and touches nothing", async () => {
  const { stdout } = await node(`
    for (const name of ["EventTarget", "Event", "MessageEvent", "fetch", "URL", "TextDecoder", "AbortController"]) {
      delete globalThis[name];
    }
    const before = Object.getOwnPropertyNames(globalThis).join();
    const client = await import("./client/index.js");
    console.log(Object.keys(client).join(), before === Object.getOwnPropertyNames(globalThis).join());
  `);
  expect(stdout).toBe("ConnectionError,ErrorEvent,EventSource,PollingClient,acrossTabs,connect,debug true\n");
});

describe("a process", () => {
  test("ends once its streams are closed", async () => {
    await using server = await startFaultServer();
    server.script("/", [{ body: ["data: a\n\n"], finish: "stall" }]);
    const { stdout } = await node(`
      import { EventSource } from "./client/index.js";
      const source = new EventSource("${server.origin}");
      source.onmessage = (event) => { console.log(event.data); source.close(); };
    `);
    expect(stdout).toBe("a\n");
  });

  test("lives on while a stream waits to come back", async () => {
    await using server = await startFaultServer();
    server.script("/", [{ body: ["retry: 200\n"] }, { body: ["data: a\n\n"], finish: "stall" }]);
    const { stdout } = await node(`
      import { EventSource } from "./client/index.js";
      const source = new EventSource("${server.origin}");
      source.onmessage = (event) => { console.log(event.data); source.close(); };
    `);
    expect(stdout).toBe("a\n");
  });

  // undici holds signals weakly: an abort once got lost with one.
  test("collects its garbage, and streams that nobody holds go on and still close", async () => {
    await using server = await startFaultServer();
    const requests = server.script("/", [{ body: ["data: a\n\n", 300, "data: b\n\n"], finish: "stall" }]);
    const { stdout } = await node(
      `
      import { EventSource } from "./client/index.js";
      let close;
      (() => {
        const source = new EventSource("${server.origin}");
        source.addEventListener("message", (event) => {
          console.log(event.data);
          if (event.data === "b") { gc(); setTimeout(() => { gc(); source.close(); }, 50); }
        });
      })();
      const collect = setInterval(gc, 20);
      setTimeout(() => clearInterval(collect), 250);
      `,
      "--expose-gc",
    );
    expect(stdout).toBe("a\nb\n");
    expect(requests[0]?.closed).toBe(true);
  });
});
