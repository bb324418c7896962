import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, it } from "vitest";
import { bytesBetween, parseInterfaces, readInterfaces } from "../../../src/sources/machine/network.js";

const TABLE = `Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:    3245      30    0    0    0     0          0         0     3245      30    0    0    0     0       0          0
  eth0: 1234567     890    0    0    0     0          0         0   765432     321    0    0    0     0       0          0
eth0:1:99999999999   1    0    0    0     0          0         0       17       1    0    0    0     0       0          0
`;

describe("parseInterfaces", () => {
  it("reads received and sent bytes by name, an alias and a missing space included", () => {
    expect([...parseInterfaces(TABLE)]).toEqual([
      ["lo", { received: 3245, sent: 3245 }],
      ["eth0", { received: 1234567, sent: 765432 }],
      ["eth0:1", { received: 99999999999, sent: 17 }],
    ]);
  });

  it("finds nothing in an empty or strange table", () => {
    for (const table of ["", "\n", "eth0 no colon 1 2 3", "eth0: 1 2 3"]) expect(parseInterfaces(table).size).toBe(0);
  });
});

describe("bytesBetween", () => {
  const of = (received: number, sent: number) => ({ received, sent });

  it("adds up the interfaces that were there both times", () => {
    const before = new Map([
      ["a", of(100, 10)],
      ["b", of(1000, 0)],
      ["gone", of(5000, 5000)],
    ]);
    const after = new Map([
      ["a", of(150, 20)],
      ["b", of(1001, 2)],
      ["new", of(1e9, 1e9)],
    ]);
    expect(bytesBetween(before, after)).toEqual(of(51, 12));
  });

  it("takes a counter that began anew as nothing", () => {
    expect(bytesBetween(new Map([["a", of(100, 100)]]), new Map([["a", of(5, 105)]]))).toEqual(of(0, 5));
  });
});

describe.runIf(process.platform === "linux")("readInterfaces", () => {
  it("reads what /proc/net/dev says, without loopback", () => {
    const all = parseInterfaces(readFileSync("/proc/net/dev", "utf8"));
    const read = readInterfaces();
    expect(read?.has("lo")).toBe(false);
    for (const [name, bytes] of read ?? []) {
      expect(bytes.received - (all.get(name)?.received ?? Number.NaN)).toBeGreaterThanOrEqual(0);
    }
  });

  it("sees loopback's real counters grow where it is asked for", async () => {
    const server = createServer((_request, response) => response.end(Buffer.alloc(1_000_000)));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const before = parseInterfaces(readFileSync("/proc/net/dev", "utf8"));
    const { port } = server.address() as AddressInfo;
    await (await fetch(`http://127.0.0.1:${port}/`)).arrayBuffer();
    const carried = bytesBetween(before, parseInterfaces(readFileSync("/proc/net/dev", "utf8")));
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    expect(carried.received).toBeGreaterThan(1_000_000);
  });
});
