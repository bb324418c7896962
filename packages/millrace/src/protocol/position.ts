/**
 * A position in a log. `epoch` is the random name of one run of a writer, `sequence` counts entries and goes on over
 * restarts. Opaque to clients: they send back what they were given.
 */
export interface Position {
  readonly epoch: string;
  readonly sequence: number;
}

const form = /^([0-9a-z]{1,16})-(0|[1-9][0-9]{0,15})$/;

export function formatPosition(epoch: string, sequence: number): string {
  return `${epoch}-${sequence}`;
}

/** Reads a position, or undefined for a text that is none: the caller says a gap then, it is no error. */
export function parsePosition(text: string): Position | undefined {
  const match = form.exec(text);
  if (!match) return undefined;
  const sequence = Number(match[2]);
  return Number.isSafeInteger(sequence) ? { epoch: match[1] as string, sequence } : undefined;
}
