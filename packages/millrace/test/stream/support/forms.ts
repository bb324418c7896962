import http from "node:http";
import http2 from "node:http2";
import https from "node:https";
import tls from "node:tls";
import type { AnyRequest, Route } from "../../../src/index.js";
import { certificate } from "../../http/support/certificate.js";
import { type Answer, answerOf, type Call, callHttp1, callHttp2, listen } from "../../http/support/forms.js";
import { fetchListener } from "./fetch-server.js";

interface Client extends AsyncDisposable {
  /** Where it listens; 0 where no socket is. */
  readonly port: number;
  call(call?: Call): Promise<Answer>;
}

/** One of the ways to a route: for `describe.each`. */
export interface Form {
  readonly name: string;
  /** What the handler is given, and whether a socket is between it and its client. */
  readonly kind: "node" | "fetch";
  readonly socket: boolean;
  serve(route: Route<AnyRequest>): Promise<Client>;
}

type NodeServer = http.Server | http2.Http2Server;

async function served(server: NodeServer, call: (port: number, call: Call) => Promise<Answer>): Promise<Client> {
  const port = await listen(server);
  const sessions = new Set<http2.Http2Session>();
  server.on("session", (session: http2.Http2Session) => {
    sessions.add(session);
    session.once("close", () => sessions.delete(session));
  });
  return {
    port,
    call: (what = {}) => call(port, what),
    [Symbol.asyncDispose]: async () => {
      if ("closeAllConnections" in server) server.closeAllConnections();
      for (const session of sessions) session.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const path = "/events?from=test";
const call1 = (port: number, call: Call) => callHttp1(port, path, call);
const listener =
  (route: Route<AnyRequest>) =>
  (
    request: http.IncomingMessage | http2.Http2ServerRequest,
    response: http.ServerResponse | http2.Http2ServerResponse,
  ) =>
    void route(request, response);

export const http1: Form = {
  ...{ name: "node:http", kind: "node", socket: true },
  serve: (route) => served(http.createServer(listener(route)), call1),
};

const overHttp2: Form = {
  ...{ name: "node:http2", kind: "node", socket: true },
  serve: (route) => served(http2.createServer(listener(route)), (port, call) => callHttp2(port, path, call)),
};

/** Makes what `http.request` asks for: connections, here over TLS. */
class TlsAgent extends http.Agent {
  override createConnection({ port }: { port: number }): tls.TLSSocket {
    return tls.connect({ port, host: "127.0.0.1", rejectUnauthorized: false, ALPNProtocols: ["http/1.1"] });
  }
}

const overTls: Form = {
  ...{ name: "node:https", kind: "node", socket: true },
  serve: (route) =>
    served(https.createServer(certificate(), listener(route)), (port, call) =>
      callHttp1(port, path, call, new TlsAgent()),
    ),
};

const overFetchServer: Form = {
  ...{ name: "Fetch behind a server", kind: "fetch", socket: true },
  serve: (route) => served(http.createServer(fetchListener(route)), call1),
};

async function* withReader(reader: ReadableStreamDefaultReader<Uint8Array>): AsyncGenerator<Uint8Array> {
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    yield value;
  }
}

async function* nothing(): AsyncGenerator<Uint8Array> {}

/** Calls the route itself. A reader leaves by `cancel()`, a loop by the request's signal. */
const direct = (name: string, read: "reader" | "loop"): Form => ({
  ...{ name, kind: "fetch", socket: false },
  serve: async (route) => ({
    port: 0,
    call: async ({ method = "GET", headers = {}, body, signal }: Call = {}) => {
      const leaving = new AbortController();
      signal?.addEventListener("abort", () => leaving.abort());
      const request = new Request(`http://127.0.0.1${path}`, {
        ...{ method, headers: { ...headers }, signal: leaving.signal },
        ...(body === undefined ? {} : { body: Buffer.from(body) }),
      });
      const response = await route(request);
      const header = (header: string) => response.headers.get(header) ?? undefined;
      if (read === "loop" || !response.body) {
        return answerOf(response.status, header, response.body ?? nothing(), () => leaving.abort());
      }
      const reader = response.body.getReader();
      return answerOf(response.status, header, withReader(reader), () => void reader.cancel());
    },
    [Symbol.asyncDispose]: async () => {},
  }),
});

export const forms: readonly Form[] = [
  ...[http1, overHttp2, overTls, overFetchServer],
  ...[direct("Fetch, with a reader", "reader"), direct("Fetch, with a loop", "loop")],
];
