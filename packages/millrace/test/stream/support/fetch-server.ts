import { once } from "node:events";
import type http from "node:http";
import { Readable } from "node:stream";

/** What runtimes of Fetch handlers do, in the plainest way: a Request out of what came, and a Response out to the socket. */
export function fetchListener(route: (request: Request) => Promise<Response>): http.RequestListener {
  return async (incoming, outgoing) => {
    const { method = "GET", headers, url } = incoming;
    const leaving = new AbortController();
    outgoing.once("close", () => leaving.abort());
    const hasBody = method !== "GET" && method !== "HEAD";
    const request = new Request(`http://${headers.host}${url}`, {
      method,
      headers: Object.entries(headers).map(([name, value]): [string, string] => [name, String(value)]),
      signal: leaving.signal,
      ...(hasBody ? { body: Readable.toWeb(incoming) as ReadableStream, duplex: "half" } : {}),
    });
    const response = await route(request);
    outgoing.writeHead(response.status, [...response.headers].flat());
    outgoing.flushHeaders();
    try {
      for await (const part of response.body ?? []) {
        // `once` with the signal: a peer that leaves does not drain.
        if (!outgoing.write(part)) await once(outgoing, "drain", { signal: leaving.signal });
      }
      outgoing.end();
    } catch {
      outgoing.destroy(); // what was begun must not look as if it were whole
    }
  };
}
