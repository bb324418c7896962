import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { behindNewest, mergeAfter } from "../../src/log/merge.js";
import { maxRecordBytes, Ring } from "../../src/log/ring.js";

interface Item {
  sequence: number;
  bytes: number;
  place: number;
}

const contents = (ring: Ring): Item[] =>
  Array.from({ length: ring.length }, (_, at) => ({
    sequence: ring.sequenceAt(at),
    bytes: ring.sizeAt(at),
    place: ring.placeAt(at),
  }));

const sum = (items: readonly Item[]) => items.reduce((all, { bytes }) => all + bytes, 0);

describe("a ring", () => {
  test("is a queue with numbers, whatever is done to it", () => {
    const steps = fc.array(
      fc.oneof(
        { weight: 3, arbitrary: fc.record({ push: fc.integer({ min: 1, max: 200 }) }) },
        { weight: 2, arbitrary: fc.record({ shift: fc.integer({ min: 1, max: 200 }) }) },
        { weight: 1, arbitrary: fc.record({ move: fc.nat(1000), place: fc.nat(2 ** 29 - 1) }) },
      ),
      { maxLength: 40 },
    );
    fc.assert(
      fc.property(steps, fc.infiniteStream(fc.integer({ min: 1, max: 3 })), (all, jumps) => {
        const ring = new Ring();
        const model: Item[] = [];
        let sequence = 0;
        for (const at of all) {
          if ("push" in at) {
            for (let n = 0; n < at.push; n++) {
              sequence += jumps.next().value as number;
              const item = {
                sequence,
                bytes: (sequence * 7919) % maxRecordBytes,
                place: (sequence * 104729) % 2 ** 29,
              };
              model.push(item);
              ring.push(item.sequence, item.bytes, item.place);
            }
          } else if ("shift" in at) {
            for (let n = 0; n < at.shift && model.length > 0; n++) expect(ring.shift()).toBe(model.shift()?.bytes);
          } else {
            ring.move(at.move, at.place);
            const item = model.find((one) => one.sequence === at.move);
            if (item) item.place = at.place;
          }
          expect(ring.length).toBe(model.length);
          expect(ring.bytes).toBe(sum(model));
          for (const wanted of [0, sequence >> 1, sequence - 1, sequence, sequence + 1]) {
            const index = model.findIndex((one) => one.sequence > wanted);
            expect(ring.firstAfter(wanted)).toBe(index < 0 ? model.length : index);
          }
        }
        expect(contents(ring)).toEqual(model);
      }),
      { numRuns: 100 },
    );
  });

  test("keeps the largest place beside the largest size", () => {
    const ring = new Ring();
    const largest = { sequence: Number.MAX_SAFE_INTEGER, bytes: maxRecordBytes - 1, place: 2 ** 29 - 1 };
    ring.push(largest.sequence, largest.bytes, largest.place);
    expect(contents(ring)).toEqual([largest]);
  });
});

describe("merging rings", () => {
  const rings = fc.array(fc.tuple(fc.nat(6), fc.integer({ min: 0, max: 50 })), { maxLength: 60 }).map((entries) => {
    const all: Item[][] = Array.from({ length: 7 }, () => []);
    for (const [at, [ring, bytes]] of entries.entries()) all[ring]?.push({ sequence: at + 1, bytes, place: at * 3 });
    return all;
  });
  const ringOf = (items: readonly Item[]) => {
    const ring = new Ring();
    for (const { sequence, bytes, place } of items) ring.push(sequence, bytes, place);
    return ring;
  };

  test("gives what sorting would, up to the limit, but one at least", () => {
    fc.assert(
      fc.property(rings, fc.nat(70), fc.nat(500), (all, after, limitBytes) => {
        const expected = all
          .flat()
          .filter(({ sequence }) => sequence > after)
          .sort((a, b) => a.sequence - b.sequence);
        const channels = all.map((items) => ({ ring: ringOf(items), latest: undefined }));
        const { refs, done } = mergeAfter(channels, after, limitBytes);
        expect(refs).toEqual(expected.slice(0, refs.length));
        expect(done).toBe(refs.length === expected.length);
        if (refs.length > 1) expect(sum([...refs])).toBeLessThanOrEqual(limitBytes);
        if (!done) expect(sum(expected.slice(0, refs.length + 1))).toBeGreaterThan(limitBytes);
        expect(refs.length > 0 || expected.length === 0).toBe(true);
      }),
    );
  });

  test("finds the newest few", () => {
    fc.assert(
      fc.property(rings, fc.nat(70), (all, count) => {
        const sequences = all.flat().map(({ sequence }) => sequence);
        const from = sequences.sort((a, b) => b - a)[count - 1];
        const tail = (sequences[0] ?? 0) + 3;
        // Behind none lie all that come: the tail.
        expect(behindNewest(all.map(ringOf), count, tail)).toBe(count === 0 ? tail : (from ?? 1) - 1);
      }),
    );
  });
});
