const utf8 = new TextDecoder("utf-8", { fatal: true });

/**
 * The text of a header. Servers read heads as Latin-1, but clients write UTF-8 there: `Last-Event-ID` by the standard,
 * and what people type as a key or a token. What is not UTF-8 stays as it was read.
 */
export function fromLatin1(value: string): string {
  if (!/[\x80-\xff]/.test(value)) return value;
  try {
    return utf8.decode(Buffer.from(value, "latin1"));
  } catch {
    return value;
  }
}
