import { isIPv4 } from "node:net";
import { describe, expect, it } from "vitest";
import { sourceAddress } from "../../../src/cli/bench/addresses.js";
import { deal } from "../../../src/cli/bench/crew.js";
import { parseStreamUrl, streamTarget } from "../../../src/cli/bench/target.js";

const perAddress = 7000;
const target = streamTarget({
  url: parseStreamUrl("http://127.0.0.1:1"),
  channels: [],
  headers: [],
  apiKey: undefined,
});

/** How many connections of all threads come from each address. */
function shares(connections: number, threads: number, host = "127.0.0.1"): Map<string | undefined, number> {
  const whole = { target, connections, before: 0, firstMs: 0, everyMs: 1, timeoutMs: 1, times: "none" } as const;
  const counts = new Map<string | undefined, number>();
  for (const job of deal(whole, threads)) {
    for (let at = 0; at < job.connections; at++) {
      const address = sourceAddress(host, job.before + at);
      counts.set(address, 1 + (counts.get(address) ?? 0));
    }
  }
  return counts;
}

describe("source addresses", () => {
  it.each([
    [1, 1],
    [3, 8],
    [7000, 2],
    [7001, 2],
    [28_000, 4],
    [100_003, 7],
    [200_000, 128],
    [2_500_000, 16],
  ])("%d connections on %d threads: at most 7,000 each", (connections, threads) => {
    const counts = shares(connections, threads);
    const all = [...counts.values()];
    expect(all.reduce((sum, count) => sum + count)).toBe(connections);
    expect(Math.max(...all)).toBeLessThanOrEqual(perAddress);
    expect(all).toHaveLength(Math.ceil(connections / perAddress));
    expect(counts.has("127.0.0.1")).toBe(false);
    for (const address of counts.keys()) expect(address === undefined || isIPv4(address)).toBe(true);
  });

  it("are the system's choice to a host elsewhere", () => {
    expect([...shares(20_000, 2, "hub.example")]).toEqual([[undefined, 20_000]]);
  });
});
