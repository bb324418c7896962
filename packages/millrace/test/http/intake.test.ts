import http from "node:http";
import type net from "node:net";
import type { AddressInfo } from "node:net";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Parts } from "../../src/http/parts.js";
import { createHub } from "../../src/index.js";
import { connectRaw, until } from "./support/index.js";
import { heldBytes } from "./support/memory.js";

const seed = Number(process.env.MILLRACE_SEED ?? Date.now() % 2 ** 31);

/** What was kept of each byte of an unfinished body in one-byte parts: 400 bytes, when each was a Buffer of its own. */
const perByte = 8;
const sentBytes = 512 * 1024;

describe("an unfinished body in parts of one byte holds little more than its bytes", () => {
  test("in chunks of HTTP/1.1", async () => {
    const hub = createHub();
    const server = http.createServer((request, response) => void hub.node(request, response));
    const sockets: net.Socket[] = [];
    server.on("connection", (socket) => sockets.push(socket));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const peer = await connectRaw((server.address() as AddressInfo).port);
    const head =
      "POST /publish HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
    const chunks = "1\r\n \r\n".repeat(sentBytes);
    const before = heldBytes();
    peer.send(head);
    peer.send(chunks);
    await until("all is read", () => sockets[0]?.bytesRead === head.length + chunks.length, 10_000);
    expect((heldBytes() - before) / sentBytes).toBeLessThan(perByte);
    peer.socket.destroy();
    server.close();
    await hub.close();
  });

  test("in parts of a Fetch stream", async () => {
    const hub = createHub({ authorize: () => ({}) });
    let sent = 0;
    const body = new ReadableStream<Uint8Array>({
      pull: (controller) => (sent++ < sentBytes ? controller.enqueue(Uint8Array.of(32)) : new Promise(() => {})),
    });
    const headers = { "content-type": "application/json" };
    const init = { method: "POST", headers, body, duplex: "half" } as RequestInit;
    const request = new Request("http://hub.example/publish", init);
    const before = heldBytes();
    void hub.fetch(request);
    await until("all is read", () => sent > sentBytes, 10_000);
    expect((heldBytes() - before) / sentBytes).toBeLessThan(perByte);
    await hub.close();
  });
});

describe(`parts that are put together, seed ${seed}`, () => {
  const part = fc.record({
    size: fc.oneof(fc.nat(8), fc.nat(300), fc.integer({ min: 4000, max: 9000 })),
    /** Bytes of the memory that the part is in, beside it. */
    beside: fc.oneof(fc.constant(0), fc.nat(70_000)),
  });

  test("are the bytes that were sent", () => {
    fc.assert(
      fc.property(fc.array(part, { maxLength: 60 }), (all) => {
        const parts = new Parts();
        const sent: Buffer[] = [];
        let next = 0;
        for (const { size, beside } of all) {
          const bytes = new Uint8Array(size + beside).subarray(beside >> 1).subarray(0, size);
          for (let at = 0; at < size; at++) bytes[at] = next++ * 31;
          sent.push(Buffer.from(bytes));
          parts.take(bytes);
        }
        const expected = Buffer.concat(sent);
        expect(Buffer.compare(parts.join(), expected)).toBe(0);
      }),
      { seed, numRuns: process.env.MILLRACE_LONG ? 5000 : 250 },
    );
  });

  test.each([
    ["of larger memory", () => Buffer.alloc(65_536).subarray(100, 100 + 4096)],
    ["large and small in turn", (at: number) => Buffer.alloc(at % 2 ? 1 : 8192)],
  ])("hold at most about twice their bytes: %s", (_, make) => {
    const parts = new Parts();
    let bytes = 0;
    const before = heldBytes();
    for (let at = 0; at < 2000; at++) {
      const part = make(at);
      bytes += part.length;
      parts.take(part);
    }
    expect((heldBytes() - before) / bytes).toBeLessThan(2.5);
    expect(parts.join()).toHaveLength(bytes);
  });

  test("one that comes alone is not copied", () => {
    const parts = new Parts();
    const alone = new Uint8Array(10).fill(1);
    parts.take(new Uint8Array(0));
    parts.take(alone);
    expect(parts.join()).toBe(alone);
  });
});
