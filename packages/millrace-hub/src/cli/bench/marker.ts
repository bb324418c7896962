/** Finds when an event was published, in the first line of its data. */
export interface ReadMark {
  /** In the clock of the marks. */
  nowMs(): number;
  /** Bytes are looked at in place: a line is not worth a string when there are a million a second. */
  read(line: Buffer, from: number, to: number): Mark | undefined;
}

export interface Mark {
  /** What the event counts by; -1: it has no number. */
  readonly n: number;
  readonly atMs: number;
}

/** Marks of this run alone: whoever else publishes on the channel is not counted. */
export interface Marker extends ReadMark {
  /** The data of an event, of at least `bytes` bytes. Its time is the monotonic clock's: for this machine only. */
  write(n: number, bytes: number): string;
}

const semicolon = 0x3b;

export function createMarker(run: string): Marker {
  const prefix = `bench-${run};n=`;
  const wanted = Buffer.from(prefix);
  return {
    write: (n, length) => `${prefix}${n};t=${process.hrtime.bigint()};`.padEnd(length, "x"),
    nowMs() {
      const [seconds, ns] = process.hrtime();
      return seconds * 1000 + ns / 1e6;
    },
    read(line, from, to) {
      const at = indexIn(line, wanted, from, to);
      if (at < 0) return undefined;
      const n = number(line, at + wanted.length, to);
      const behind = line.indexOf(semicolon, at + wanted.length) + ";t=".length;
      return { n, atMs: number(line, behind, to) / 1e6 };
    },
  };
}

const time = Buffer.from('"time":');

/** The hub's own time in an event of the form `envelope`: whole milliseconds, of the hub's clock. */
export const envelopeTime: ReadMark = {
  nowMs: Date.now,
  read(line, from, to) {
    const at = indexIn(line, time, from, to);
    return at < 0 ? undefined : { n: -1, atMs: number(line, at + time.length, to) };
  },
};

/** Behind `data: ` is looked first: there it is, but for envelopes. */
function indexIn(line: Buffer, wanted: Buffer, from: number, to: number): number {
  const first = from + "data: ".length;
  let same = 0;
  while (same < wanted.length && line[first + same] === wanted[same]) same++;
  if (same === wanted.length && first + same <= to) return first;
  const at = line.subarray(from, to).indexOf(wanted);
  return at < 0 ? -1 : from + at;
}

const zero = 0x30;

function number(line: Buffer, from: number, to: number): number {
  let value = 0;
  for (let at = from; at < to; at++) {
    const digit = (line[at] as number) - zero;
    if (digit < 0 || digit > 9) break;
    value = value * 10 + digit;
  }
  return value;
}
