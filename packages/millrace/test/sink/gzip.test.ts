import { createGunzip } from "node:zlib";
import fc from "fast-check";
import { expect, test, vi } from "vitest";
import { GzipSink, type SharedPart } from "../../src/sink/index.js";
import { InflatingSink } from "../hub/inflating-sink.js";
import { RecordingSink } from "../hub/recording-sink.js";

const part = (serial: number, follows: number, bytes = Buffer.from([serial])): SharedPart => ({
  ...{ bytes, serial, follows, missed: false },
});

/** A sink that keeps what it is given as it is, behind one that compresses, whose header is written. */
function made(): { gzip: GzipSink; last: () => Uint8Array } {
  const writes: Uint8Array[] = [];
  const sink = new RecordingSink();
  sink.write = (bytes) => writes.push(bytes) > 0;
  const gzip = new GzipSink(sink);
  gzip.write(Buffer.from("opening"));
  return { gzip, last: () => writes.at(-1) as Uint8Array };
}

test("what is written can be read at once, however much it is", () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.constantFrom(0, 1, 115, 159, 160, 161, 5000, 65_535, 65_536, 300_000), fc.boolean()), {
        maxLength: 8,
      }),
      (sizes) => {
        const sink = new InflatingSink();
        const gzip = new GzipSink(sink);
        let written = "";
        for (const [bytes, repeats] of sizes) {
          const text = repeats ? "tick ".repeat(bytes / 5) : Array.from({ length: bytes }, letter).join("");
          written += text;
          gzip.write(Buffer.from(text));
          expect(sink.text === written).toBe(true);
        }
        gzip.end(Buffer.from("bye"));
        expect(sink.text === `${written}bye`).toBe(true);
      },
    ),
    { numRuns: 50 },
  );
});

const letter = () => String.fromCharCode(97 + Math.random() * 26);

test("a reader that gets it in pieces has each event before the next is written", async () => {
  const gunzip = createGunzip().setEncoding("utf8");
  const sink = new RecordingSink();
  sink.write = (bytes) => {
    for (const byte of bytes) gunzip.write(Buffer.of(byte));
    return true;
  };
  const gzip = new GzipSink(sink);
  for (const text of ["id: 1\n\n", `data: ${"x".repeat(1000)}\n\n`, "data: y\n\n"]) {
    gzip.write(Buffer.from(text));
    let read = "";
    while (read.length < text.length) read += (await new Promise((resolve) => gunzip.once("data", resolve))) as string;
    expect(read).toBe(text);
  }
  gunzip.destroy();
});

test("the header goes with the first bytes, and only with them", () => {
  const sink = new InflatingSink();
  const gzip = new GzipSink(sink);
  gzip.write(Buffer.from("a"));
  gzip.write(Buffer.from("b"));
  expect(sink.received.map((bytes) => Buffer.from(bytes).toString("hex"))).toEqual([
    "1f8b08000000000000ff000100feff61",
    "000100feff62",
  ]);
});

test("the same bytes are compressed once, whoever they are for", () => {
  const bytes = Buffer.from("heartbeat ".repeat(50));
  const [one, other] = [made(), made()];
  one.gzip.write(bytes);
  other.gzip.write(bytes);
  expect(one.last()).toBe(other.last());
  expect(one.last().length).toBeLessThan(60);
  expect(one.last().buffer.byteLength).toBeLessThan(16_384); // zlib's own buffer must not stay in memory for it
});

test("a group's parts are for those who have had all of them since one that begins anew", () => {
  const { gzip, last } = made();
  const plain = Buffer.from("plain");
  const takes = (shared: SharedPart) => {
    gzip.write(plain, shared);
    const taken = last() === shared.bytes;
    expect(shared.missed).toBe(!taken);
    return taken;
  };
  expect(takes(part(2, 1))).toBe(false); // it came in the middle
  expect(takes(part(3, 2))).toBe(false); // what it was written for 2 was its own
  expect(takes(part(4, 0))).toBe(true);
  expect(takes(part(5, 4))).toBe(true);
  expect(takes(part(7, 6))).toBe(false); // it was not given 6
  expect(takes(part(8, 0))).toBe(true);
  gzip.write(Buffer.from("for this one"));
  expect(takes(part(9, 8))).toBe(false);
});

test("it is what it stands in front of, to all who ask", () => {
  const sink = new RecordingSink();
  const gzip = new GzipSink(sink);
  const owner = { onDrain: vi.fn(), onClose: vi.fn() };
  gzip.open(owner);
  sink.write = () => false;
  expect([gzip.kind, gzip.pendingBytes, gzip.write(Buffer.from("x"))]).toEqual(["recording", 0, false]);
  sink.drain();
  gzip.destroy();
  expect(owner.onDrain).toHaveBeenCalledOnce();
  expect(owner.onClose).toHaveBeenCalledOnce();
});

test("one that ends before anything was written is empty", () => {
  const sink = new InflatingSink();
  new GzipSink(sink).end();
  expect([sink.ended, sink.received]).toEqual([true, []]);
});
