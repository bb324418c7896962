/** Size of `text` in UTF-8, or -1 when it holds a lone surrogate, which UTF-8 cannot carry. */
export function utf8Bytes(text: string): number {
  let bytes = text.length;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x80) continue;
    if (unit < 0x800) bytes += 1;
    else if (unit < 0xd800 || unit > 0xdfff) bytes += 2;
    else {
      const low = unit < 0xdc00 ? text.charCodeAt(i + 1) : 0;
      if (!(low >= 0xdc00 && low <= 0xdfff)) return -1;
      bytes += 2; // the pair is two units and four bytes
      i++;
    }
  }
  return bytes;
}

/** `text` for an error message: cut, and with control characters made visible. */
export function quote(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}...` : text);
}
