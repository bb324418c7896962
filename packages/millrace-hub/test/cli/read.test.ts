import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { envName, type Options, UsageError } from "../../src/cli/option.js";
import { readOptions } from "../../src/cli/read.js";
import { serveOptions } from "../../src/serve/options.js";

const folder = mkdtempSync(join(tmpdir(), "millrace-options-"));
afterAll(() => rmSync(folder, { recursive: true }));

function file(content: unknown): string {
  const path = join(folder, `${Math.random()}.json`);
  writeFileSync(path, typeof content === "string" ? content : JSON.stringify(content));
  return path;
}

interface Given {
  args?: string[];
  env?: Record<string, string>;
  positionals?: number;
}

function read({ args = [], env = {}, positionals = 0 }: Given) {
  return readOptions(serveOptions, { args, env, positionals }).values;
}

function refusal(given: Given, options: Options = serveOptions): string {
  try {
    readOptions(options, { args: [], env: {}, positionals: 0, ...given });
  } catch (error) {
    if (error instanceof UsageError) return error.message;
    throw error;
  }
  throw new Error("nothing was refused");
}

describe("where a value comes from", () => {
  const config = file({ port: 3, host: "127.0.0.3", "log-level": "warn" });

  it("is the flag, else the variable, else the file, else the default", () => {
    const env = { MILLRACE_PORT: "2", MILLRACE_HOST: "127.0.0.2", MILLRACE_CONFIG: config };
    const values = read({ args: ["--port", "1"], env });
    expect(values).toMatchObject({ port: 1, host: "127.0.0.2", "log-level": "warn", durability: "process" });
  });

  it("lets the flag --config win over its variable", () => {
    const values = read({ args: ["--config", file({ port: 5 })], env: { MILLRACE_CONFIG: config } });
    expect(values).toMatchObject({ port: 5, host: "127.0.0.1" });
  });

  it("takes a flag's last value, and --flag=value", () => {
    expect(read({ args: ["--port", "1", "--port=2"] }).port).toBe(2);
  });

  it("counts an empty variable as none", () => {
    expect(read({ env: { MILLRACE_PORT: "", MILLRACE_CONFIG: "", MILLRACE_API_KEY: "" } })).toMatchObject({
      port: 4000,
      "api-key": [],
    });
  });

  it("takes several values: flags, a list in the file, commas in the variable", () => {
    expect(read({ args: ["--api-key", "a", "--api-key", "b"] })["api-key"]).toEqual(["a", "b"]);
    expect(read({ env: { MILLRACE_ALLOWED_HOST: "a, b," } })["allowed-host"]).toEqual(["a", "b"]);
    expect(read({ args: ["--config", file({ "api-key": ["a", "b"] })] })["api-key"]).toEqual(["a", "b"]);
    expect(read({ args: ["--config", file({ "api-key": "a" })] })["api-key"]).toEqual(["a"]);
  });

  it("reads switches from all three", () => {
    expect(read({})["allow-anonymous"]).toBe(false);
    expect(read({ args: ["--allow-anonymous"] })["allow-anonymous"]).toBe(true);
    expect(read({ env: { MILLRACE_ALLOW_ANONYMOUS: "true" } })["allow-anonymous"]).toBe(true);
    expect(read({ args: ["--config", file({ "allow-anonymous": true })] })["allow-anonymous"]).toBe(true);
    expect(
      read({ env: { MILLRACE_ALLOW_ANONYMOUS: "false" }, args: ["--config", file({ "allow-anonymous": true })] }),
    ).toMatchObject({ "allow-anonymous": false });
  });

  it("gives every option a variable and a key of the file", () => {
    const samples: Record<string, string> = {
      host: "127.0.0.9",
      "allow-anonymous": "true",
      compression: "true",
      "trusted-proxy": "10.0.0.1",
      "cors-origin": "https://a.example",
    };
    for (const [name, option] of Object.entries(serveOptions)) {
      if (name === "config") continue;
      const sample = samples[name] ?? option.default ?? "sample";
      const many = "many" in option;
      const expected = option.parse(sample);
      const value = many ? [expected] : expected;
      expect({ [name]: read({ env: { [envName(name)]: sample } })[name as "host"] }).toEqual({ [name]: value });
      expect({ [name]: read({ args: ["--config", file({ [name]: sample })] })[name as "host"] }).toEqual({
        [name]: value,
      });
    }
  });
});

describe("what is refused", () => {
  it("an unknown flag, with those that are known", () => {
    const message = refusal({ args: ["--prot", "1"] });
    expect(message).toMatch(/^unknown option --prot: known are --host, --port, /);
    for (const name of Object.keys(serveOptions)) expect(message).toContain(`--${name}`);
    expect(refusal({ args: ["-p", "1"] })).toMatch(/^unknown option -p: /);
    expect(refusal({ args: ["--constructor"] })).toMatch(/^unknown option --constructor: /);
  });

  it("an unknown key, with those that are known", () => {
    const path = file({ prot: 1 });
    const message = refusal({ args: ["--config", path] });
    expect(message).toContain(`unknown key "prot" in ${path}: known are host, port, `);
    expect(refusal({ args: ["--config", file('{"__proto__": 1}')] })).toContain('unknown key "__proto__"');
    expect(refusal({ args: ["--config", file({ config: "x" })] })).toContain('unknown key "config"');
  });

  it.each([
    ["--port", "4000x", '--port is "4000x": it should be a port from 0 to 65535'],
    ["--port", "65536", '--port is "65536": it should be a port from 0 to 65535'],
    ["--store", "sqlite", '--store is "sqlite": it should be memory, disk:PATH or redis://HOST'],
    ["--log-level", "loud", '--log-level is "loud": it should be one of debug, info, warn, error, silent'],
    ["--heartbeat", "15", '--heartbeat is "15": it should be a time such as 500ms, 15s, 10m or 24h, or off'],
    ["--heartbeat", "0s", '--heartbeat is "0s": it should be more than 0, or off'],
    ["--heartbeat", "60d", '--heartbeat is "60d": it should be a time of at most 24d, or off'],
    ["--body-limit", "1MB", '--body-limit is "1MB": it should be a size such as 512KiB, 64MiB or 1GiB'],
    ["--body-limit", "off", '--body-limit is "off": it should be a size such as 512KiB, 64MiB or 1GiB'],
    [
      "--max-connections",
      "-1",
      "--max-connections needs a value: --max-connections N (one that begins with a dash: --max-connections=-1)",
    ],
    ["--max-connections", "1.5", '--max-connections is "1.5": it should be a whole number, or off'],
    ["--trusted-proxy", "10.0.0.0/8", '--trusted-proxy is "10.0.0.0/8": it should be an IP address'],
    [
      "--cors-origin",
      "app.example.com",
      '--cors-origin is "app.example.com": it should be an origin such as https://app.example.com, or *',
    ],
    [
      "--cors-origin",
      "https://a.example/x",
      '--cors-origin is "https://a.example/x": it should be an origin such as https://app.example.com, or *',
    ],
    ["--host", "", '--host is "": it should be a text'],
  ])("%s %s", (flag, value, message) => {
    expect(refusal({ args: [flag, value] })).toBe(message);
  });

  it("names the variable or the file that it came from", () => {
    expect(refusal({ env: { MILLRACE_PORT: "x" } })).toMatch(/^MILLRACE_PORT is "x": /);
    const path = file({ port: "x" });
    expect(refusal({ args: ["--config", path] })).toMatch(`port in ${path} is "x": `);
  });

  it("a bad API key without repeating it", () => {
    const right = "is not valid: it should be of visible ASCII characters, without blanks and commas";
    expect(refusal({ args: ["--api-key", "hush hush"] })).toBe(`--api-key ${right}`);
    expect(refusal({ args: ["--api-key", "-hush"] })).toBe(
      "--api-key needs a value: --api-key KEY (one that begins with a dash: --api-key=KEY)",
    );
    expect(refusal({ args: ["--config", file({ "api-key": "a,b" })] })).toMatch(right);
  });

  it("a comma in the variable of a key: it would make several keys, each easier to guess", () => {
    expect(refusal({ env: { MILLRACE_API_KEY: "long,key" } })).toMatch(/^MILLRACE_API_KEY is not valid: .*commas$/);
    expect(read({ env: { MILLRACE_API_KEY: "long-key" } })["api-key"]).toEqual(["long-key"]);
  });

  it("a file that is not JSON without repeating what is in it", () => {
    const of = (content: string) => refusal({ args: ["--config", file(content)] });
    expect(of('{"api-key": hush}')).toMatch(/^the configuration file \S+ is not JSON$/);
    expect(of('{\n  "api-key": "hush"\n  "port": 1}')).toMatch(/ is not JSON: line 3, column 3$/);
    expect(of('{"api-key": hush, "at position 7": 1}')).not.toMatch(/hush|line/);
    expect(of("")).toMatch(/ is not JSON$/);
  });

  it("a flag without its value, a switch with one, and an argument too many", () => {
    expect(refusal({ args: ["--port"] })).toBe("--port needs a value: --port PORT");
    expect(refusal({ args: ["--port", "--host"] })).toMatch(/^--port needs a value: --port PORT /);
    expect(refusal({ args: ["--allow-anonymous=yes"] })).toBe("--allow-anonymous takes no value");
    expect(refusal({ args: ["4000"] })).toBe('unexpected argument "4000"');
  });

  it("a file that is missing, no JSON, no object, or holds something else than values", () => {
    expect(refusal({ args: ["--config", join(folder, "none.json")] })).toMatch(
      /^the configuration file .* cannot be read: ENOENT/,
    );
    expect(refusal({ args: ["--config", file("{port: 1}")] })).toMatch(/ is not JSON/);
    expect(refusal({ args: ["--config", file([1])] })).toMatch(/must hold a JSON object such as/);
    expect(refusal({ args: ["--config", file({ port: null })] })).toMatch(
      /^port in .* must be a string, a number or a boolean$/,
    );
    expect(refusal({ args: ["--config", file({ port: [1, 2] })] })).toMatch(/^port in .* takes one value$/);
    expect(refusal({ env: { MILLRACE_CONFIG: folder } })).toMatch(/cannot be read: EISDIR/);
  });

  it("says how to pass an argument that begins with a dash", () => {
    expect(refusal({ args: ["-5"], positionals: 2 })).toMatch(
      /\(an argument that begins with a dash goes behind --\)$/,
    );
    expect(readOptions(serveOptions, { args: ["--", "-5"], env: {}, positionals: 1 }).positionals).toEqual(["-5"]);
  });
});

describe("values with units", () => {
  it.each([
    ["--drain", "500ms", 500],
    ["--drain", "0s", 0],
    ["--heartbeat", "1.5s", 1500],
    ["--max-age", "10m", 600_000],
    ["--retention-age", "24h", 86_400_000],
    ["--retention-age", "365d", 365 * 86_400_000],
    ["--body-limit", "100B", 100],
    ["--body-limit", "512KiB", 512 * 1024],
    ["--retention-channel-bytes", "1.5MiB", 1.5 * 1024 ** 2],
    ["--retention-total-bytes", "2GiB", 2 * 1024 ** 3],
    ["--max-connections", "10", 10],
  ])("%s %s", (flag, value, expected) => {
    expect(read({ args: [flag, value] })[flag.slice(2) as "drain"]).toBe(expected);
  });

  it("takes off where the table says so, and nowhere else", () => {
    for (const [name, option] of Object.entries(serveOptions)) {
      if (!/^(N|TIME|SIZE)$/.test(option.value ?? "")) continue;
      if ("off" in option) expect(read({ args: [`--${name}`, "off"] })[name as "drain"]).toBe(Infinity);
      else expect(refusal({ args: [`--${name}`, "off"] })).toMatch(`--${name} is "off": it should be `);
    }
  });

  it("writes addresses as they are compared", () => {
    expect(read({ args: ["--host", "[::1]"] }).host).toBe("::1");
    expect(read({ args: ["--host", "LOCALHOST"] }).host).toBe("localhost");
    expect(read({ args: ["--cors-origin", "https://App.example.com/"] })["cors-origin"]).toEqual([
      "https://app.example.com",
    ]);
  });
});
