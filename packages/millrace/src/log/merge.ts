import type { Latest } from "./latest.js";
import type { Ring } from "./ring.js";

/** Where an entry of a channel is found. */
export interface Ref {
  readonly sequence: number;
  readonly bytes: number;
  readonly place: number;
}

/** The entries of a channel. */
interface Source {
  readonly ring: Ring;
  readonly latest: Latest | undefined;
}

interface Cursor extends Source {
  index: number;
  sequence: number;
}

/** Entries in order; `done` when nothing follows them. */
export interface Refs {
  readonly refs: readonly Ref[];
  readonly done: boolean;
}

/**
 * The oldest entries behind `after` of all the channels, in order, up to `limitBytes` but one at least. `conflate`: those
 * that are the latest of their key.
 */
export function mergeAfter(channels: readonly Source[], after: number, limitBytes: number, conflate = false): Refs {
  const heap: Cursor[] = [];
  for (const { ring, latest: known } of channels) {
    const latest = conflate ? known : undefined;
    const first = ring.firstAfter(after);
    const index = latest ? latest.skipFrom(first) : first;
    if (index < ring.length) heap.push({ ring, latest, index, sequence: ring.sequenceAt(index) });
  }
  heapify(heap);
  const refs: Ref[] = [];
  let bytes = 0;
  for (let top = heap[0]; top; top = heap[0]) {
    const size = top.ring.sizeAt(top.index);
    bytes += size;
    if (bytes > limitBytes && refs.length > 0) return { refs, done: false };
    refs.push({ sequence: top.sequence, bytes: size, place: top.ring.placeAt(top.index) });
    advance(heap, top);
  }
  return { refs, done: true };
}

/** The sequence behind which the newest `count` entries of all the rings lie; 0 when they hold no more. */
export function behindNewest(rings: readonly Ring[], count: number, tail: number): number {
  const behind = (sequence: number) => {
    let entries = 0;
    for (const ring of rings) entries += ring.length - ring.firstAfter(sequence);
    return entries;
  };
  // By halves: walking back a million entries held up everyone for the sake of one client's parameter.
  let low = 0;
  let high = tail;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (behind(middle) >= count) low = middle;
    else high = middle - 1;
  }
  return low;
}

function advance(heap: Cursor[], top: Cursor): void {
  top.index++;
  if (top.latest) top.index = top.latest.skipFrom(top.index);
  if (top.index < top.ring.length) top.sequence = top.ring.sequenceAt(top.index);
  else {
    const last = heap.pop() as Cursor;
    if (last === top) return;
    heap[0] = last;
  }
  sink(heap, 0);
}

function heapify(heap: Cursor[]): void {
  for (let at = (heap.length >> 1) - 1; at >= 0; at--) sink(heap, at);
}

function sink(heap: Cursor[], from: number): void {
  const cursor = heap[from] as Cursor;
  let at = from;
  for (;;) {
    let child = at * 2 + 1;
    if (child >= heap.length) break;
    if (child + 1 < heap.length && (heap[child + 1] as Cursor).sequence < (heap[child] as Cursor).sequence) child++;
    if ((heap[child] as Cursor).sequence >= cursor.sequence) break;
    heap[at] = heap[child] as Cursor;
    at = child;
  }
  heap[at] = cursor;
}
