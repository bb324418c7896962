export interface Target {
  /** What stands in place of `Host` when the target is in absolute form, as for a proxy (RFC 9112, section 3.2.2). */
  readonly authority: string | undefined;
  readonly path: string;
  readonly query: string;
}

const absolute = /^https?:\/\/([^/?#]*)(.*)$/is;

/** Takes the target of a request apart, nothing of it decoded. */
export function readTarget(target: string): Target {
  const [, authority, rest = target] = absolute.exec(target) ?? [];
  // Names in raw UTF-8, as people type them behind curl: as bytes, so that they are checked like encoded ones.
  const url = rest.replace(/[\x80-\xff]/g, (byte) => `%${byte.charCodeAt(0).toString(16)}`);
  const mark = url.indexOf("?");
  return mark < 0
    ? { authority, path: url, query: "" }
    : { authority, path: url.slice(0, mark), query: url.slice(mark + 1) };
}
