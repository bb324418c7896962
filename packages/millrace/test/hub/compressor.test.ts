import { randomBytes } from "node:crypto";
import { setImmediate as nextTurn } from "node:timers/promises";
import fc from "fast-check";
import { expect, test, vi } from "vitest";
import { Compressor, Compressors } from "../../src/hub/compressor.js";
import { GzipSink, type SharedPart } from "../../src/sink/index.js";
import { ticks } from "../ticks.js";
import { InflatingSink } from "./inflating-sink.js";

/** A peer that inflates, behind its sink. */
function peer() {
  const inner = new InflatingSink();
  return { inner, sink: new GzipSink(inner), expected: "" };
}

async function partsOf(compressor: Compressor, ...texts: string[]): Promise<readonly SharedPart[]> {
  const parts = await compressor.compress(texts.map((text) => Buffer.from(text)));
  if (!parts) throw new Error("it is closed");
  return parts;
}

type Step =
  | { readonly do: "batch"; readonly sizes: readonly number[]; readonly slow: number }
  | { readonly do: "alone"; readonly who: number; readonly meanwhile: boolean }
  | { readonly do: "join" }
  | { readonly do: "leave"; readonly who: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant("batch" as const),
      sizes: fc.array(fc.constantFrom(1, 20, 115, 2000, 40_000), { minLength: 1, maxLength: 3 }),
      slow: fc.nat(9),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("alone" as const), who: fc.nat(9), meanwhile: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("join" as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("leave" as const), who: fc.nat(9) }) },
);

/** Of a group whose members come, go, are slow, and are written to alone, each reads exactly what it was given. */
async function play(steps: readonly Step[], anewMs: number): Promise<number> {
  const compressor = new Compressor(anewMs);
  const peers = [peer(), peer()];
  let number = 0;
  let inStep = 0;
  const alone = (who: number) => {
    const one = peers[who % peers.length];
    if (!one) return;
    const text = `alone ${number++} ${"own ".repeat(number % 80)}`;
    one.sink.write(Buffer.from(text));
    one.expected += text;
  };
  for (const action of steps) {
    if (action.do === "join") peers.push(peer());
    else if (action.do === "leave" && peers.length > 1) peers.splice(action.who % peers.length, 1);
    else if (action.do === "alone") alone(action.who);
    else if (action.do === "batch") {
      const texts = action.sizes.map((size) => `tick ${number++} ${randomBytes(size / 4).toString("hex")}`.repeat(2));
      const buffers = texts.map((text) => Buffer.from(text));
      const coming = compressor.compress(buffers);
      if (action.slow % 3 === 0) alone(action.slow); // while another thread compresses
      const parts = (await coming) as readonly SharedPart[];
      for (const [who, one] of peers.entries()) {
        for (const [at, bytes] of buffers.entries()) {
          if (who === action.slow && at > 0) break; // full behind the first: the rest is read for it alone, or not at all
          one.sink.write(bytes, parts[at]);
          one.expected += texts[at];
          if (one.sink.isAt(parts[at] as SharedPart)) inStep++;
        }
      }
    }
    for (const { inner, expected } of peers) if (inner.text !== expected) throw new Error("it reads something else");
  }
  compressor.close();
  return inStep;
}

test.each([0, 1000])(
  "every member reads what it was given, when a stream may begin anew every %i ms",
  async (anewMs) => {
    let inStep = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
        inStep += await play(steps, anewMs);
      }),
      { numRuns: 150 },
    );
    expect(inStep).toBeGreaterThan(500); // else nothing was shared, and nothing shown
  },
);

test("leaves a fifth of ticks, each alone, and a third when it begins anew after every twenty", async () => {
  const source = ticks();
  const next = () => source.next().value as Buffer;
  const share = async (compressor: Compressor, count: number, each: (parts: SharedPart, n: number) => void) => {
    let [before, after] = [0, 0];
    for (let n = 0; n < count; n++) {
      const tick = next();
      const [shared] = (await compressor.compress([tick])) as [SharedPart];
      each(shared, n);
      before += tick.length;
      after += shared.bytes.length;
    }
    compressor.close();
    return after / before;
  };
  expect(await share(new Compressor(), 500, () => {})).toBeLessThan(0.24);
  const twentieth = (part: SharedPart, n: number) => {
    if (n % 20 === 19) part.missed = true;
  };
  expect(await share(new Compressor(0), 500, twentieth)).toBeLessThan(0.34);
});

test("begins anew once someone could not read on, and not sooner than it may", async () => {
  const now = vi.spyOn(performance, "now").mockReturnValue(10_000);
  const compressor = new Compressor();
  const [first, second] = await partsOf(compressor, "one", "two");
  expect([first?.follows, second?.follows]).toEqual([0, first?.serial]);
  now.mockReturnValue(20_000);
  const [third] = await partsOf(compressor, "three");
  expect(third?.follows).toBe(second?.serial); // nobody needs it to
  (third as SharedPart).missed = true;
  const [fourth] = await partsOf(compressor, "four");
  expect(fourth?.follows).toBe(0);
  (fourth as SharedPart).missed = true;
  now.mockReturnValue(20_999);
  const [fifth] = await partsOf(compressor, "five");
  expect(fifth?.follows).toBe(fourth?.serial);
  (fifth as SharedPart).missed = true;
  now.mockReturnValue(21_000);
  expect((await partsOf(compressor, "six"))[0]?.follows).toBe(0);
  now.mockRestore();
  compressor.close();
});

test("what it is given while it is busy comes behind, in order", async () => {
  const compressor = new Compressor();
  const one = peer();
  const texts = Array.from({ length: 20 }, (_, n) => `${n} `.repeat(5000));
  const batches = await Promise.all(texts.map((text) => partsOf(compressor, text, `end of ${text}`)));
  const parts = batches.flat();
  for (const part of parts) one.sink.write(Buffer.alloc(0), part);
  expect(one.inner.text).toBe(texts.map((text) => `${text}end of ${text}`).join(""));
  compressor.close();
});

test("one that is closed gives nothing more, whatever it is at", async () => {
  for (let turns = 0; turns < 30; turns++) {
    const compressor = new Compressor();
    await partsOf(compressor, "before");
    const coming = [randomBytes(200_000), randomBytes(10)].map((bytes) => compressor.compress([bytes, bytes]));
    for (let turn = 0; turn < turns; turn++) await nextTurn();
    compressor.close();
    compressor.close();
    const after = compressor.compress([randomBytes(10)]);
    expect((await Promise.all([...coming, after])).at(-1)).toBeUndefined();
  }
});

test("knows whether a sink has been fed by it of late", async () => {
  const now = vi.spyOn(performance, "now").mockReturnValue(0);
  const compressor = new Compressor();
  const [one, other] = [peer(), peer()];
  expect(compressor.hasServed(one.sink, 100)).toBe(false);
  const [part] = await partsOf(compressor, "x");
  for (const { sink } of [one, other]) sink.write(Buffer.from("x"), part);
  other.sink.write(Buffer.from("alone"));
  expect([one, other].map(({ sink }) => compressor.hasServed(sink, 100))).toEqual([true, false]);
  expect(compressor.hasServed(new InflatingSink(), 100)).toBe(false);
  now.mockReturnValue(101);
  expect(compressor.hasServed(one.sink, 100)).toBe(false);
  now.mockRestore();
  compressor.close();
});

test("there are so many of them, and those that are not needed are given back", async () => {
  const now = vi.spyOn(performance, "now").mockReturnValue(0);
  const compressors = new Compressors<object>(2);
  const [a, b, c] = [{}, {}, {}] as const;
  const first = compressors.of(a);
  expect(compressors.of(a)).toBe(first);
  expect(compressors.of(b)).toBeDefined();
  expect([compressors.of(c), compressors.get(c), compressors.size]).toEqual([undefined, undefined, 2]);
  compressors.free(a);
  expect(await first?.compress([Buffer.from("x")])).toBeUndefined();
  const third = compressors.of(c);
  now.mockReturnValue(50_000);
  await third?.compress([Buffer.from("x")]);
  now.mockReturnValue(70_000);
  compressors.sweep();
  expect([compressors.get(b), compressors.get(c) === third]).toEqual([undefined, true]);
  compressors.free(c);
  compressors.free(c);
  expect(compressors.size).toBe(0);
  now.mockRestore();
});
