/**
 * Guards the speed by ratios: each is of two things measured in turn in one run, so that it hardly knows which machine it
 * is on, or what else that does. The bounds are generous: what they catch is work that is done once more for each
 * subscriber, or once more for each byte. `npm run bench` has the figures.
 */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { createParser } from "millrace/protocol";
import { describe, expect, test } from "vitest";

const run = promisify(execFile);
const bench = fileURLToPath(new URL("../bench/fanout.mjs", import.meta.url));
const linux = process.platform === "linux";

interface Row {
  load: string;
  system: string;
  "CPU µs/delivery": number;
  "× sockets"?: number;
  "delivered %": number;
  "lost or twice": number;
}

/** The hub's row of a short fan-out beside bare sockets, in turn. */
async function fanOut(load: string): Promise<Row> {
  const args = [bench, "--json", "--loads", load, "--only", "hub,sockets", "--repeats", "1", "--seconds", "1.5"];
  const { stdout } = await run(process.execPath, args, { timeout: 30_000 });
  const { rows, skipped }: { rows: Row[]; skipped: string[] } = JSON.parse(stdout);
  const hub = rows.find(({ system }) => system === "millrace-hub");
  if (hub?.["× sockets"] === undefined) throw new Error(skipped.join("\n") || "no figures");
  return hub;
}

/** Measures until a ratio is below the bound, three times at most: noise makes ratios worse for a while, a fault always. */
async function bestRatio(bound: number, measure: () => Promise<number> | number): Promise<number> {
  let best = Number.POSITIVE_INFINITY;
  for (let tries = 0; tries < 3 && best >= bound; tries++) best = Math.min(best, await measure());
  return best;
}

describe.skipIf(!linux)("fan-out", { meta: { skipReason: linux ? "" : "processor time is read from /proc" } }, () => {
  /**
   * Measured: 1.2 to 1.6, publishing over HTTP included; with a second write for each delivery more than 2. At higher
   * rates a server writes several events at once, and is as busy as it can be whatever a write costs.
   */
  const bound = 1.9;

  test.each(["1000x50", "500x100"])(`%s/s costs less than ${bound} times what bare sockets cost`, async (load) => {
    const ratio = await bestRatio(bound, async () => {
      const hub = await fanOut(load);
      const ratio = hub["× sockets"] ?? Number.NaN;
      console.log(`${hub.load}: ${hub["CPU µs/delivery"]} µs a delivery, ${ratio} times bare sockets`);
      expect(hub).toMatchObject({ "delivered %": 100, "lost or twice": 0 });
      return ratio;
    });
    expect(ratio).toBeLessThan(bound);
  });
});

describe("the parser", () => {
  const event = (at: number) => `id: 3f9a1c-${at}\nevent: price\ndata: {"symbol":"ACME","price":${at},"volume":7}\n\n`;
  const text = Array.from({ length: 20_000 }, (_, at) => event(at)).join("");
  const bytes = new TextEncoder().encode(text);
  const cut = (size: number) =>
    Array.from({ length: Math.ceil(bytes.length / size) }, (_, at) => bytes.subarray(at * size, (at + 1) * size));

  function parseMs(chunks: Uint8Array[]): number {
    let events = 0;
    const parser = createParser({ onEvent: () => events++ });
    const startMs = performance.now();
    for (const chunk of chunks) parser.feed(chunk);
    const ms = performance.now() - startMs;
    expect(events).toBe(20_000);
    return ms;
  }

  /** Decoding and cutting into lines is the least that any parser does. */
  function linesMs(chunks: Uint8Array[]): number {
    const decoder = new TextDecoder();
    let lines = 0;
    const startMs = performance.now();
    for (const chunk of chunks) lines += decoder.decode(chunk, { stream: true }).split("\n").length;
    const ms = performance.now() - startMs;
    expect(lines).toBeGreaterThan(80_000);
    return ms;
  }

  const median = (values: number[]) => values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;

  test.each([
    { size: 65_536, bound: 1.5 },
    { size: 512, bound: 1.75 },
  ])("costs less than $bound times decoding and splitting, in chunks of $size bytes", async ({ size, bound }) => {
    const chunks = cut(size);
    const ratio = await bestRatio(bound, () => {
      const ratios = Array.from({ length: 9 }, () => parseMs(chunks) / linesMs(chunks)).slice(2);
      console.log(`parser, chunks of ${size} bytes: ${median(ratios).toFixed(2)} times decoding and splitting`);
      return median(ratios);
    });
    expect(ratio).toBeLessThan(bound);
  });
});
