import http from "node:http";
import type { AddressInfo } from "node:net";

/** What the server does with one request. */
export interface Answer {
  /** Default 200; 0 closes the connection without a word, -1 leaves the request without an answer. */
  status?: number;
  /** Beside `content-type: text/event-stream`, which an own one replaces; "" leaves it out. */
  headers?: Record<string, string>;
  /** Written one by one; a number waits so many milliseconds. */
  body?: readonly (string | Uint8Array | number)[];
  /** After the body. `break`: the connection is cut, so that the body is not whole. Default `end`. */
  finish?: "end" | "break" | "hold";
}

interface SeenRequest {
  readonly method: string;
  readonly path: string;
  /** In Latin-1, as they came. */
  readonly headers: http.IncomingHttpHeaders;
  readonly atMs: number;
  /** The peer has gone, or was sent away. */
  closed: boolean;
}

export interface ScriptedServer {
  readonly origin: string;
  /** The answers to a path, one for each request in their order; when there are no more, 204. Answers with what came. */
  script(path: string, answers: readonly Answer[]): SeenRequest[];
  [Symbol.asyncDispose](): Promise<void>;
}

/** A server that does what it is told. `other` takes the requests for paths without a script. */
export async function startScriptedServer(other?: http.RequestListener): Promise<ScriptedServer> {
  const scripts = new Map<string, { answers: Answer[]; seen: SeenRequest[] }>();
  const server = http.createServer((request, response) => {
    const path = request.url ?? "";
    const script = scripts.get(path);
    if (script === undefined) {
      if (other) other(request, response);
      else response.writeHead(404).end();
      return;
    }
    const seen: SeenRequest = {
      method: request.method ?? "",
      path,
      headers: request.headers,
      atMs: performance.now(),
      closed: false,
    };
    script.seen.push(seen);
    response.on("close", () => {
      seen.closed = true;
    });
    void perform(script.answers.shift() ?? { status: 204 }, response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    script(path, answers) {
      const seen: SeenRequest[] = [];
      scripts.set(path, { answers: [...answers], seen });
      return seen;
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function perform(answer: Answer, response: http.ServerResponse): Promise<void> {
  const { status = 200, headers = {}, body = [], finish = "end" } = answer;
  const all: Record<string, string> = { "content-type": "text/event-stream", ...headers };
  if (status === 204 || all["content-type"] === "") delete all["content-type"];
  if (status === 0) return void response.destroy();
  if (status === -1) return;
  response.shouldKeepAlive = false; // on a connection that has served before, browsers repeat a request by themselves
  response.writeHead(status, all);
  response.flushHeaders();
  for (const piece of body) {
    if (typeof piece === "number") await new Promise((resolve) => setTimeout(resolve, piece));
    // Only then does the next piece come in a packet of its own.
    else await new Promise((resolve) => response.write(piece, resolve));
  }
  if (finish === "end") response.end();
  else if (finish === "break") response.destroy();
}
