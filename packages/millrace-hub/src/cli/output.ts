/** Prints a line of results. */
export function printLine(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** Says something about the work, in one line on standard error. */
export function say(message: string): void {
  process.stderr.write(`millrace-hub: ${message.replace(/\s*[\r\n]+\s*/g, " ")}\n`);
}

/**
 * Ends the process when nobody reads its results any more, as in `subscribe | head -1`: quietly, as the shell's own
 * tools do. Node ignores SIGPIPE, and a stream's unhandled error would end it with a stack trace.
 */
export function endWithReader(): void {
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit(0);
    say(`standard output cannot be written: ${error.message}`);
    process.exit(1);
  });
  process.stderr.on("error", () => {});
}

const named: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\t" };

/** Text for a terminal: control characters are escaped, so that nobody's data moves the cursor or ends the line. */
export function printable(text: string): string {
  return text.replace(
    /[\p{Cc}\p{Bidi_Control}\u2028\u2029]/gu,
    (character) => named[character] ?? `\\u${character.codePointAt(0)?.toString(16).padStart(4, "0")}`,
  );
}
