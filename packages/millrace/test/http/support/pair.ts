import { type ListenerOptions, listen } from "../../../src/http/index.js";
import { type AccessRequest, createHub, type MillraceOptions } from "../../../src/index.js";
import { connectRaw } from "./raw.js";
import { until } from "./until.js";

/** What a client gets, but for what differs from one hub to the next, or from one answer to the next. */
export interface Outcome {
  /** 0: the connection ended without an answer. */
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** Of a stream its first block, of anything else the body. */
  readonly body: string;
  /** What `authorize` was shown. */
  readonly seen: unknown;
}

/** Headers about the connection: an answer of the front is the last on it. And the time. */
const ofTheConnection = new Set(["connection", "keep-alive", "date", "transfer-encoding"]);

const itsOwn = new Set(["millrace-position", "millrace-connection"]);

/** A hub behind `listen`, with the front before node:http or without it. */
export async function serve(front: boolean, options: MillraceOptions = {}, times: Partial<ListenerOptions> = {}) {
  let seen: unknown;
  let taken = 0;
  const hub = createHub({
    corsOrigins: ["https://app.example"],
    trustedProxies: ["127.0.0.1"],
    limits: { bodyMs: 300, pollMs: 50 },
    onError: () => {},
    authorize: (request, access) => {
      seen = shown(request, access);
      const user = request.header("x-user");
      if (user === "nobody") return { refuse: 401 };
      if (user === "mallory") return { refuse: 403, reason: "not you" };
      return user ? { user } : {};
    },
    ...options,
  });
  const listener = await listen({
    ...{ host: "127.0.0.1", port: 0, headMs: 150, ...times },
    onRequest: (request, response) => {
      hub
        .node(request, response)
        .then((answered) => answered || response.writeHead(404, { "content-length": 0 }).end());
    },
    ...(front
      ? {
          onFront: (request, conversation) => {
            taken++;
            hub.front(request, conversation);
          },
        }
      : {}),
  });
  const port = Number(new URL(listener.url).port);
  return {
    hub,
    listener,
    port,
    taken: () => taken,
    /** Sends the pieces, each on its own, and reads the answer. */
    ask: async (...pieces: string[]): Promise<Outcome> => {
      seen = undefined;
      const peer = await connectRaw(port, { noDelay: true });
      let over = false;
      void peer.closed.then(() => {
        over = true;
      });
      for (const piece of pieces) {
        peer.send(piece);
        if (pieces.length > 1) await new Promise((resolve) => setTimeout(resolve, 1));
      }
      const asksHead = pieces.join("").startsWith("HEAD");
      await until(
        `an answer to ${JSON.stringify(pieces)} after ${JSON.stringify(peer.heard())}`,
        () => over || firstAnswer(peer.heard(), asksHead) !== undefined,
      );
      peer.socket.destroy();
      return outcomeOf(firstAnswer(peer.heard(), asksHead), seen);
    },
    [Symbol.asyncDispose]: async () => {
      await hub.close({ drainMs: 50 });
      await listener.close();
    },
  };
}

function shown(request: AccessRequest, access: unknown) {
  const { method, path, query, remoteAddress } = request;
  const { url, httpVersion, headers } = request.raw as Record<string, unknown>;
  const names = Object.keys(headers as object).sort();
  return {
    ...{ method, path, query, remoteAddress, access, url, httpVersion },
    headers: names.map((name) => [name, (headers as Record<string, unknown>)[name], request.header(name)]),
  };
}

/** The first answer, when it is whole. */
function firstAnswer(all: string, asksHead: boolean) {
  const heard = all.replace(/^HTTP\/1\.1 100 Continue\r\n\r\n/, "");
  const end = heard.indexOf("\r\n\r\n") + 4;
  if (end < 4) return undefined;
  const [first = "", ...lines] = heard.slice(0, end - 4).split("\r\n");
  const headers: Record<string, string> = Object.create(null);
  for (const line of lines) headers[line.slice(0, line.indexOf(":")).toLowerCase()] = line.slice(line.indexOf(":") + 2);
  const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(first)?.[1]);
  const length = asksHead || status === 204 ? 0 : lengthOf(headers, heard.slice(end));
  return length === undefined || heard.length < end + length
    ? undefined
    : { status, headers, body: heard.slice(end, end + length) };
}

/** How long a body is, of which there is this; undefined when that cannot be told yet. */
function lengthOf(headers: Readonly<Record<string, string>>, body: string): number | undefined {
  const length = headers["content-length"];
  if (length !== undefined) return Number(length);
  const last = headers["transfer-encoding"] === "chunked" ? "0\r\n\r\n" : "\n\n";
  const at = body.indexOf(last);
  return at < 0 ? undefined : at + last.length;
}

function outcomeOf(answer: ReturnType<typeof firstAnswer>, seen: unknown): Outcome {
  if (!answer) return { status: 0, headers: {}, body: "", seen };
  const headers: Record<string, string> = {};
  const { status } = answer;
  const ids = answer.body.startsWith('{"ids":[');
  for (const [name, value] of Object.entries(answer.headers)) {
    const own = itsOwn.has(name) || (ids && name === "content-length");
    if (!ofTheConnection.has(name)) headers[name] = own ? "ITS OWN" : value;
  }
  const body = ids
    ? answer.body.replace(/"[^",]+-\d+"/g, "ITS OWN")
    : answer.body.replace(/^(id|retry): .*$/gm, "$1: ITS OWN");
  return { status, headers, body, seen };
}
