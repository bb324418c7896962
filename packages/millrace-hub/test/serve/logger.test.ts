import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { createLogger, cut, type Logger } from "../../src/serve/logger.js";

const formats = ["text", "json"] as const;

/** What a log writes while `work` is done. */
function written(format: "text" | "json", level: string, work: (log: Logger) => void): string[] {
  const folder = mkdtempSync(join(tmpdir(), "millrace-log-"));
  const path = join(folder, "log");
  const file = openSync(path, "a");
  try {
    work(createLogger(level, format, file));
    return readFileSync(path, "utf8").split("\n").filter(Boolean);
  } finally {
    closeSync(file);
    rmSync(folder, { recursive: true });
  }
}

const hostile = [
  "two\nlines",
  "\r\n[2020-01-01T00:00:00.000Z] INFO: forged",
  'quote" , "level": 60',
  "\u001b[31mred\u001b[2J",
  "\u2028\u2029\u0085\u009b2J\u202e",
  '{"msg":"forged"}\n{"level":60}',
];

describe.each(formats)("a log as %s", (format) => {
  it("begins each line with, or has in it, the time in ISO form", () => {
    const [line = ""] = written(format, "info", (log) => log.info("started"));
    const time =
      format === "json"
        ? (JSON.parse(line) as { time: string }).time
        : (/^\[(\S+)\] INFO: started$/.exec(line)?.[1] ?? "");
    expect(new Date(time).toISOString()).toBe(time);
    expect(Math.abs(Date.parse(time) - Date.now())).toBeLessThan(60_000);
  });

  it("leaves out what is below its level", () => {
    const levels = (level: string) =>
      written(format, level, (log) => {
        log.debug("debug");
        log.info("info");
        log.warn("warn");
        log.error("error");
      }).length;
    expect(["debug", "info", "warn", "error", "silent"].map(levels)).toEqual([4, 3, 2, 1, 0]);
  });

  it.each(hostile)("keeps %j of a client in one line", (text) => {
    const lines = written(format, "debug", (log) =>
      log.debug({ channel: text, event: text, data: text, user: text, clients: 3 }, "publish"),
    );
    expect(lines).toHaveLength(1);
    expect(lines[0]).not.toMatch(/\p{Cc}/u);
    const json = format === "json" ? lines[0] : lines[0]?.slice(lines[0].indexOf("{"));
    expect(JSON.parse(json ?? "")).toMatchObject({ channel: text, event: text, data: text, user: text, clients: 3 });
  });

  it("keeps an error of a client's making from beginning lines of its own", () => {
    const lines = written(format, "info", (log) =>
      log.error({ err: new Error("bad\n[2020-01-01T00:00:00.000Z] INFO: forged") }, "internal error"),
    );
    expect(lines.filter((line) => /^\[2020/.test(line))).toEqual([]);
  });
});

describe.runIf(existsSync("/dev/full"))("a log on a disk that is full", () => {
  it.each(formats)("loses lines as %s, and nothing else", async (format) => {
    const file = openSync("/dev/full", "w");
    try {
      const log = createLogger("info", format, file);
      for (let at = 0; at < 100; at++) log.info({ at, data: "x".repeat(5000) }, "lost");
      await new Promise(setImmediate);
    } finally {
      closeSync(file);
    }
  });
});

describe("cut", () => {
  it.each([
    ["", ""],
    ["x".repeat(200), "x".repeat(200)],
    ["x".repeat(201), `${"x".repeat(200)}...`],
    [`${"x".repeat(199)}🎉`, `${"x".repeat(199)}...`],
    [`${"x".repeat(198)}🎉y`, `${"x".repeat(198)}🎉...`],
  ])("%#", (data, expected) => {
    expect(cut(data)).toBe(expected);
  });
});
