/**
 * Writes that all streams together may make in one turn of the event loop before whoever waits for them waits for the next.
 * A handler that waits for nothing but its writes, to a client that reads as fast, otherwise never lets go: no timer fires,
 * nobody else is answered, and that its client has left is not heard either.
 */
const mostWrites = 100;

const now = Promise.resolve();
let writes = 0;
let turns = 0;
let nextTurn = now;

/** Called for each write: what is to be waited for after it. */
export function pace(): Promise<void> {
  if (writes === 0) {
    nextTurn = new Promise((resolve) => {
      setImmediate(() => {
        writes = 0;
        turns++;
        resolve();
      });
    });
  }
  return ++writes > mostWrites ? nextTurn : now;
}

/** Names the present turn of the event loop. */
export function turn(): number {
  void pace();
  return turns;
}

/** Resolves with the next turn. */
export function untilNextTurn(): Promise<void> {
  void pace();
  return nextTurn;
}
