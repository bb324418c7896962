import type { Ring } from "./ring.js";

/** Where an entry of a channel is found. */
export interface Ref {
  readonly sequence: number;
  readonly bytes: number;
  readonly place: number;
}

interface Cursor {
  readonly ring: Ring;
  index: number;
  sequence: number;
}

/** Entries in order; `done` when nothing follows them. */
export interface Refs {
  readonly refs: readonly Ref[];
  readonly done: boolean;
}

/** The oldest entries behind `after` of all the rings, in order, up to `limitBytes` but one at least. */
export function mergeAfter(rings: readonly Ring[], after: number, limitBytes: number): Refs {
  const heap: Cursor[] = [];
  for (const ring of rings) {
    const index = ring.firstAfter(after);
    if (index < ring.length) heap.push({ ring, index, sequence: ring.sequenceAt(index) });
  }
  const ascending = (a: Cursor, b: Cursor) => a.sequence < b.sequence;
  heapify(heap, ascending);
  const refs: Ref[] = [];
  let bytes = 0;
  for (let top = heap[0]; top; top = heap[0]) {
    const size = top.ring.sizeAt(top.index);
    bytes += size;
    if (bytes > limitBytes && refs.length > 0) return { refs, done: false };
    refs.push({ sequence: top.sequence, bytes: size, place: top.ring.placeAt(top.index) });
    advance(heap, top, 1, ascending);
  }
  return { refs, done: true };
}

/** The sequence of the `count`th newest entry of all the rings; undefined when they hold fewer, or count is 0. */
export function newest(rings: readonly Ring[], count: number): number | undefined {
  const heap: Cursor[] = [];
  for (const ring of rings) {
    if (ring.length > 0) heap.push({ ring, index: ring.length - 1, sequence: ring.sequenceAt(ring.length - 1) });
  }
  const descending = (a: Cursor, b: Cursor) => a.sequence > b.sequence;
  heapify(heap, descending);
  let sequence: number | undefined;
  for (let taken = 0; taken < count; taken++) {
    const top = heap[0];
    if (!top) return undefined;
    sequence = top.sequence;
    advance(heap, top, -1, descending);
  }
  return sequence;
}

type Before = (a: Cursor, b: Cursor) => boolean;

function advance(heap: Cursor[], top: Cursor, step: 1 | -1, before: Before): void {
  top.index += step;
  if (top.index >= 0 && top.index < top.ring.length) top.sequence = top.ring.sequenceAt(top.index);
  else {
    const last = heap.pop() as Cursor;
    if (last === top) return;
    heap[0] = last;
  }
  sink(heap, 0, before);
}

function heapify(heap: Cursor[], before: Before): void {
  for (let at = (heap.length >> 1) - 1; at >= 0; at--) sink(heap, at, before);
}

function sink(heap: Cursor[], from: number, before: Before): void {
  const cursor = heap[from] as Cursor;
  let at = from;
  for (;;) {
    let child = at * 2 + 1;
    if (child >= heap.length) break;
    if (child + 1 < heap.length && before(heap[child + 1] as Cursor, heap[child] as Cursor)) child++;
    if (!before(heap[child] as Cursor, cursor)) break;
    heap[at] = heap[child] as Cursor;
    at = child;
  }
  heap[at] = cursor;
}
