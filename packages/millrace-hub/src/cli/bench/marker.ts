/**
 * Finds in a line of data when its event was published. `n` is what it counts by, where it has a number.
 * Bytes are looked at in place: a line is not worth a string when there are a million a second.
 */
export type ReadMark = (bytes: Buffer, from: number, to: number) => Mark | undefined;

export interface Mark {
  /** -1: it has none. */
  readonly n: number;
  /** How old the event is. */
  readonly ageMs: number;
}

/** Marks of this run alone: whoever else publishes on the channel is not counted. */
export interface Marker {
  /** The data of an event, of at least `bytes` bytes. Its time is the monotonic clock's: for this machine only. */
  write(n: number, bytes: number): string;
  readonly read: ReadMark;
}

const semicolon = 0x3b;

export function createMarker(run: string): Marker {
  const prefix = `bench-${run};n=`;
  const bytes = Buffer.from(prefix);
  return {
    write: (n, length) => `${prefix}${n};t=${process.hrtime.bigint()};`.padEnd(length, "x"),
    read(line, from, to) {
      const at = indexIn(line, bytes, from, to);
      if (at < 0) return undefined;
      const n = number(line, at + bytes.length, to);
      const behind = line.indexOf(semicolon, at + bytes.length) + ";t=".length;
      return { n, ageMs: (Number(process.hrtime.bigint()) - number(line, behind, to)) / 1e6 };
    },
  };
}

const time = Buffer.from('"time":');

/** Reads the hub's own time out of an event in the form `envelope`: whole milliseconds, of the hub's clock. */
export const readEnvelopeTime: ReadMark = (line, from, to) => {
  const at = indexIn(line, time, from, to);
  return at < 0 ? undefined : { n: -1, ageMs: Date.now() - number(line, at + time.length, to) };
};

function indexIn(line: Buffer, wanted: Buffer, from: number, to: number): number {
  const at = line.subarray(from, to).indexOf(wanted);
  return at < 0 ? -1 : from + at;
}

const zero = 0x30;

function number(line: Buffer, from: number, to: number): number {
  let value = 0;
  for (let at = from; at < to; at++) {
    const digit = (line[at] ?? 0) - zero;
    if (digit < 0 || digit > 9) break;
    value = value * 10 + digit;
  }
  return value;
}
