import type { AccessRequest } from "../http/authorize.js";

/** The token of a request; undefined when it brings none. A header is meant for us, a cookie comes with every request. */
export function tokenOf(request: AccessRequest, cookie: string | undefined): string | undefined {
  const [, bearer] = /^Bearer +(.+)$/i.exec(request.header("authorization") ?? "") ?? [];
  return bearer ?? (cookie === undefined ? undefined : cookieOf(request.header("cookie") ?? "", cookie));
}

/** The first of that name, as RFC 6265 orders them: the one for the longest path. */
function cookieOf(header: string, name: string): string | undefined {
  for (const pair of header.split(";")) {
    const equals = pair.indexOf("=");
    if (equals < 0 || pair.slice(0, equals).trim() !== name) continue;
    return pair.slice(equals + 1).trim() || undefined;
  }
  return undefined;
}
