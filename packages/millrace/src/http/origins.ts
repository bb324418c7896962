import { invalidOption } from "../protocol/index.js";

/** A name as `Host` has it. @throws MillraceError `invalid_option` when it can match none */
export function hostOf(host: string): string {
  const [, name = "", port = ""] = /^(\[[\da-f:.]+\]|[^\s/?#@:*[\]\\]+?)\.?(:\d{1,5})?$/i.exec(host) ?? [];
  const url = name === "" ? undefined : parseUrl(`http://${name}`);
  if (url) return url.hostname + port;
  throw invalidOption(
    "allowedHosts",
    host,
    "it is a name, such as hub.example or hub.example:8443; leave it out to allow any",
  );
}

/** An origin as pages send it, or `*`. @throws MillraceError `invalid_option` when it can match none */
export function originOf(origin: string): string {
  if (origin === "*") return origin;
  const url = parseUrl(origin);
  const bare = url && `${url.pathname}${url.search}${url.hash}${url.username}${url.password}`;
  // Of schemes such as `capacitor:` the standard knows no origin, but their pages send one.
  if (url?.host && !url.host.includes("*") && (bare === "/" || bare === "")) return `${url.protocol}//${url.host}`;
  throw invalidOption("corsOrigins", origin, "it is an origin, such as https://app.example, or *");
}

function parseUrl(text: string): URL | undefined {
  return URL.canParse(text) ? new URL(text) : undefined;
}
