import type { Segment } from "./segment.js";

/** The files of a store, by their ranges. */
export class Segments {
  readonly list: Segment[] = [];

  get storedBytes(): number {
    let bytes = 0;
    for (const { size } of this.list) bytes += size;
    return bytes;
  }

  /** The file that holds an entry: the last that begins at or before it. */
  find(sequence: number): Segment {
    let low = 0;
    let high = this.list.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if ((this.list[middle] as Segment).base <= sequence) low = middle;
      else high = middle - 1;
    }
    return this.list[low] as Segment;
  }

  /** An entry was dropped: its room can be given back. */
  release(sequence: number, bytes: number): void {
    const segment = this.find(sequence);
    segment.liveBytes -= bytes;
    segment.deadBytes += bytes;
  }

  garbage(keysSinceMs: number): number {
    let bytes = 0;
    for (const segment of this.list) bytes += segment.garbage(keysSinceMs);
    return bytes;
  }

  /** Removes a file whose entries are dropped, or moved. One that was rewritten alone has given its name to its heir. */
  remove(segment: Segment): void {
    this.list.splice(this.list.indexOf(segment), 1);
    if (this.list.some(({ path }) => path === segment.path)) segment.close();
    else segment.remove();
  }

  close(): void {
    for (const segment of this.list) segment.close();
    this.list.length = 0;
  }
}
