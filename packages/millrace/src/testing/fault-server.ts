import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import { buffer } from "node:stream/consumers";
import { checkOptionKinds, invalidOption } from "../protocol/index.js";
import { isPreflight, permission, readable } from "./cross-origin.js";
import { Flow, type Trickle } from "./flow.js";
import { Outlet } from "./outlet.js";
import { Port } from "./port.js";
import { pass, refuse, targetOf } from "./proxy.js";
import { checkAnswer, perform, type ScriptedAnswer, type SeenRequest } from "./script.js";

export interface FaultServerOptions {
  /**
   * What answers requests that no script answers: the origin of a server, such as `http://127.0.0.1:4000`, or a listener
   * of `node:http`, such as `hub.listener` or an Express application. Default: nothing, they get 404.
   */
  readonly target?: string | RequestListener | undefined;
}

/**
 * A server that does to streams what networks and proxies do. `stall`, `hold`, `trickle` and `cutAfter` are for all
 * answers that are under way and all to come, one of the four at a time, until `resume`.
 */
export interface FaultServer {
  /** Such as `http://127.0.0.1:40123`. */
  readonly origin: string;
  /** All that came, in order. */
  readonly requests: readonly SeenRequest[];
  /**
   * Says what becomes of the requests for a path; one with a query is for that query alone. Each answer is for one
   * request, in their order; requests after the last one pass to the target, or get 204 where there is none. Or a
   * function says it, for each request. A script replaces the one before. Pages of any origin may ask: preflights are
   * answered, and are no requests here.
   *
   *     server.script("/events", [{ status: 503, headers: { "Retry-After": "1" } }, { body: ["data: 1\n\n"] }]);
   *
   * Answers with the requests that it has had so far: the list grows.
   * @throws MillraceError `invalid_option`
   */
  script(
    path: string,
    answers: readonly ScriptedAnswer[] | ((request: SeenRequest) => ScriptedAnswer),
  ): readonly SeenRequest[];
  /** Breaks all connections, as a network does. New ones are accepted. */
  cut(): void;
  /** Nothing goes through any more, in neither direction, and connections stay open: a network that has died. */
  stall(): void;
  /** Keeps back what is answered until there are so many bytes, or until its end: a proxy that buffers. */
  hold(bytes?: number): void;
  /** Passes on a few bytes at a time. Default: single ones, each millisecond. */
  trickle(trickle?: Trickle): void;
  /** Cuts each answer when so many bytes of its body have gone; at once, where there were as many before. */
  cutAfter(bytes: number): void;
  /** Bytes pass again, first those that were kept back. */
  resume(): void;
  /** Breaks all connections, and refuses others. */
  goDown(): Promise<void>;
  /** Accepts connections again, on the same port. */
  comeBack(): Promise<void>;
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

interface Script {
  readonly next: (request: SeenRequest) => ScriptedAnswer;
  readonly seen: SeenRequest[];
}

/**
 * Starts a server on a loopback port for tests of what reads streams.
 *
 *     await using server = await startFaultServer();
 *     server.script("/events", [{ body: ["data: 1\n\n", 50, "data: 2\n\n"], finish: "cut" }, { finish: "stall" }]);
 *
 *     await using proxy = await startFaultServer({ target: hub.listener });
 *     proxy.cut();
 *
 * @throws MillraceError `invalid_option`
 */
export async function startFaultServer(options: FaultServerOptions = {}): Promise<FaultServer> {
  checkOptionKinds("startFaultServer", options, { target: ["string", "function"] });
  const { target } = options;
  const given = typeof target === "string" ? targetOf(target) : undefined;
  const behind = typeof target === "function" ? await Port.open(target) : undefined;
  const upstream = behind ? new URL(behind.origin) : given;
  const scripts = new Map<string, Script>();
  const requests: SeenRequest[] = [];
  const flow = new Flow();
  const otherwise: ScriptedAnswer = upstream ? "pass" : { status: 204 };
  const port = await Port.open((request, response) => {
    answer(request, response).catch((error: Error) => refuse(new Outlet(response, flow), 500, error.message));
  });

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = request.url ?? "";
    const script = scripts.get(path) ?? scripts.get(path.replace(/\?.*/, ""));
    if (script && isPreflight(request)) return void response.writeHead(204, permission(request)).end();
    const { method = "", headers } = request;
    const seen = { method, path, headers, body: "", atMs: performance.now(), closed: false };
    requests.push(seen);
    script?.seen.push(seen);
    response.on("close", () => {
      seen.closed = true;
    });
    const body = await buffer(request);
    seen.body = body.toString();
    if (!script && !upstream) {
      const detail = `there is no script for this path: server.script(${JSON.stringify(path)}, [{ … }])`;
      return await refuse(new Outlet(response, flow), 404, detail);
    }
    const next = script ? script.next(seen) : otherwise;
    if (next === "cut") response.destroy();
    else if (next === "pass" && upstream) await pass(upstream, request, body, new Outlet(response, flow));
    else if (typeof next === "object")
      await perform(next, readable(headers), new Outlet(response, flow, ownManner(next)));
  }

  const close = async () => {
    await port.close();
    await behind?.close();
  };

  return {
    origin: port.origin,
    requests,
    script(path, answers) {
      if (typeof path !== "string" || !path.startsWith("/"))
        throw invalidOption("path", path, "it begins with a slash");
      const script = { next: inTurn(answers, otherwise, upstream !== undefined), seen: [] };
      scripts.set(path, script);
      return script.seen;
    },
    cut: () => port.cut(),
    stall: () => flow.change({ stalls: true }),
    hold: (bytes = Infinity) => flow.change({ holdBytes: bytes }),
    trickle: (trickle = {}) => flow.change({ trickle }),
    cutAfter: (bytes) => flow.change({ cutAfterBytes: bytes }),
    resume: () => flow.change({}),
    goDown: () => port.close(),
    comeBack: () => port.reopen(),
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** @throws MillraceError `invalid_option` */
function inTurn(
  answers: readonly ScriptedAnswer[] | ((request: SeenRequest) => ScriptedAnswer),
  otherwise: ScriptedAnswer,
  hasTarget: boolean,
): Script["next"] {
  if (typeof answers === "function") {
    return (request) => {
      const answer = answers(request);
      checkAnswer(answer, hasTarget);
      return answer;
    };
  }
  if (!Array.isArray(answers)) throw invalidOption("answers", answers, "it is a list, or a function of the request");
  for (const answer of answers) checkAnswer(answer, hasTarget);
  const left = [...answers];
  return () => left.shift() ?? otherwise;
}

function ownManner({ trickle, holdBytes }: { trickle?: Trickle | undefined; holdBytes?: number | undefined }) {
  return { ...(trickle && { trickle }), ...(holdBytes !== undefined && { holdBytes }) };
}
