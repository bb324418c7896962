import net from "node:net";
import tls from "node:tls";
import type { ReadMark } from "./marker.js";
import { Dechunker, type Head, readHead } from "./response.js";
import { type Found, Scanner } from "./scanner.js";
import type { StreamTarget } from "./target.js";

/** Why a stream did not open, or ended. */
export type FailureKind = "refused" | "status" | "type" | "cut" | "timeout" | "malformed" | "network";

export interface Failure {
  readonly kind: FailureKind;
  /** The status, the type, or the system's code. */
  readonly detail: string;
}

/** What the streams of a thread share. */
export interface Shared {
  readonly target: StreamTarget;
  readonly timeoutMs: number;
  readonly lookup: net.LookupFunction;
  /** Reads of all streams land here: one at a time is looked at. */
  readonly buffer: Uint8Array;
  readonly marks: ReadMark | undefined;
  readonly found: Found & {
    bytes(count: number): void;
    /** An event that carries a time, and a number where the run publishes itself. */
    aged(ageMs: number): void;
    twice(): void;
  };
  opened(stream: Stream, afterMs: number): void;
  /** Once for each stream, opened or not. */
  ended(stream: Stream, failure: Failure): void;
}

/** One connection that reads an event stream. */
export class Stream {
  readonly #shared: Shared;
  readonly #socket: net.Socket;
  readonly #beganMs = performance.now();
  readonly #scanner: Scanner;
  #head: Buffer | undefined = Buffer.alloc(0);
  #chunks: Dechunker | undefined;
  #timer: NodeJS.Timeout | undefined;
  #ended = false;
  /** When the bytes came that are being looked at, in the clock of the marks. */
  #readAtMs = 0;
  /** The number of the last event of this run. */
  #last = -1;
  /** Different events of this run. */
  received = 0;

  constructor(shared: Shared, localAddress: string | undefined) {
    this.#shared = shared;
    const { target, lookup, timeoutMs } = shared;
    const { host, port, secure } = target;
    const from = localAddress === undefined ? {} : { localAddress };
    const onread = { buffer: shared.buffer, callback: this.#read };
    const options = { host, port, lookup, onread, ...from };
    const servername = net.isIP(host) === 0 ? { servername: host } : {};
    this.#socket = secure ? tls.connect({ ...options, ...servername }) : net.connect(options);
    this.#socket.setNoDelay().once(secure ? "secureConnect" : "connect", this.#ask);
    this.#socket.on("error", this.#failed).on("end", this.#finished).on("close", this.#finished);
    this.#timer = setTimeout(() => this.#fail("timeout", `no answer in ${timeoutMs} ms`), timeoutMs);
    const { found } = shared;
    this.#scanner = new Scanner(found, shared.marks, ({ n, atMs }) => {
      found.aged(this.#readAtMs - atMs);
      if (n < 0) return;
      if (n <= this.#last) return found.twice();
      this.#last = n;
      this.received++;
    });
  }

  get open(): boolean {
    return this.#head === undefined && !this.#ended;
  }

  /** Ends it without a failure. */
  stop(): void {
    this.#ended = true;
    clearTimeout(this.#timer);
    this.#socket.destroy();
  }

  #ask = () => {
    this.#socket.write(this.#shared.target.request, "latin1");
  };

  #read = (length: number, bytes: Uint8Array): boolean => {
    if (this.#ended) return true;
    const { found, marks } = this.#shared;
    found.bytes(length);
    if (marks) this.#readAtMs = marks.nowMs();
    const buffer = bytes as Buffer;
    try {
      if (this.#head === undefined) this.#body(buffer, 0, length);
      else this.#answer(Buffer.concat([this.#head, buffer.subarray(0, length)]));
    } catch (error) {
      this.#fail("malformed", (error as Error).message);
    }
    return true;
  };

  #answer(bytes: Buffer): void {
    const head = readHead(bytes);
    if (!head) {
      this.#head = bytes;
      return;
    }
    const failure = failureOf(head);
    if (failure) {
      this.#fail(failure.kind, failure.detail);
      return;
    }
    if (/\bchunked\s*$/i.test(head.headers.get("transfer-encoding") ?? "")) this.#chunks = new Dechunker();
    this.#head = undefined;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#shared.opened(this, performance.now() - this.#beganMs);
    this.#body(bytes, head.bodyAt, bytes.length);
  }

  #body(bytes: Buffer, from: number, to: number): void {
    if (!this.#chunks) this.#scanner.feed(bytes, from, to);
    else if (this.#chunks.feed(bytes, from, to, this.#scan)) this.#fail("cut", "ended by the server");
  }

  #scan = (bytes: Buffer, from: number, to: number) => this.#scanner.feed(bytes, from, to);

  #failed = (error: NodeJS.ErrnoException) => {
    const code = error.code ?? error.message;
    if (code === "ECONNREFUSED") this.#fail("refused", code);
    else if (code === "ECONNRESET" || code === "EPIPE") this.#fail("cut", code);
    else this.#fail("network", code);
  };

  #finished = () => this.#fail("cut", "ended by the server");

  #fail(kind: FailureKind, detail: string): void {
    if (this.#ended) return;
    this.#shared.ended(this, { kind, detail });
    this.stop();
  }
}

/** Why an answer is no event stream that can be read; undefined: it is one. */
function failureOf({ status, headers }: Head): Failure | undefined {
  if (status !== 200) return { kind: "status", detail: String(status) };
  const type = headers.get("content-type") ?? "none";
  if (!/^text\/event-stream\s*(?:;|$)/i.test(type)) return { kind: "type", detail: type.slice(0, mostDetail) };
  const encoding = headers.get("content-encoding") ?? "identity";
  if (encoding === "identity") return undefined;
  return { kind: "type", detail: `Content-Encoding ${encoding.slice(0, mostDetail)}` };
}

/** What others have written is shown so far. */
const mostDetail = 60;
