/** How much of one turn of the event loop deliveries take at most. */
export interface Turn {
  /** For writing to those at the tail, in milliseconds. Default 0.5. */
  readonly writingMs: number;
  /** For reading for those behind, in milliseconds. Default 2. */
  readonly readingMs: number;
  /** After so many writes it is looked whether the time is over: a look costs as much as a part of a write. Default 32. */
  readonly writesPerLook: number;
}

export const defaultTurn: Turn = { writingMs: 0.5, readingMs: 2, writesPerLook: 32 };
