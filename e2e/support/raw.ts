/**
 * HTTP/1.1 and event streams by hand, on plain sockets: what the end-to-end proofs judge the hub by. Nothing here uses
 * the project's own parser or client, so that a fault in those cannot hide the same fault in the hub.
 */
import net from "node:net";

/** The head of an answer, or of a stream. */
export interface Head {
  readonly status: number;
  /** By lower-case name. */
  readonly headers: ReadonlyMap<string, string>;
}

export interface Answer extends Head {
  readonly body: Buffer;
}

export interface RequestOptions {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
  /** Rejects when there is no whole answer after so long. Default 20,000 ms. */
  readonly timeoutMs?: number;
}

/** One block of an event stream. Fields that it does not have are undefined. */
export interface Block {
  readonly id?: string;
  readonly event?: string;
  readonly channel?: string;
  readonly data?: string;
  readonly retry?: number;
  readonly comment?: string;
}

const headEnd = Buffer.from("\r\n\r\n");

/** The bytes of a request. */
export function requestBytes(url: string, path: string, options: RequestOptions = {}): Buffer {
  const { method = "GET", headers = {}, body } = options;
  const bytes = body === undefined ? undefined : Buffer.from(body);
  let head = `${method} ${path} HTTP/1.1\r\nHost: ${new URL(url).host}\r\n`;
  for (const [name, value] of Object.entries(headers)) head += `${name}: ${value}\r\n`;
  if (bytes) head += `Content-Length: ${bytes.length}\r\n`;
  return Buffer.concat([Buffer.from(`${head}\r\n`), bytes ?? Buffer.alloc(0)]);
}

function parseHead(text: string): Head {
  const [line = "", ...fields] = text.split("\r\n");
  const status = /^HTTP\/1\.1 (\d{3})/.exec(line)?.[1];
  if (status === undefined) throw new Error(`this is no status line: ${JSON.stringify(line)}`);
  const headers = new Map<string, string>();
  for (const field of fields) {
    const colon = field.indexOf(":");
    headers.set(field.slice(0, colon).toLowerCase(), field.slice(colon + 1).trim());
  }
  return { status: Number(status), headers };
}

/** A connection that is kept and asked one thing after the other. It is made anew after any failure. */
export class Peer {
  readonly url: string;
  readonly #port: number;
  readonly #host: string;
  #socket: net.Socket | undefined;

  constructor(url: string) {
    this.url = url;
    const { hostname, port } = new URL(url);
    this.#host = hostname;
    this.#port = Number(port);
  }

  /** Resolves with the whole answer; rejects when the connection ends before that. One request at a time. */
  request(path: string, options: RequestOptions = {}): Promise<Answer> {
    const { timeoutMs = 20_000 } = options;
    const socket = this.#connection();
    return new Promise<Answer>((resolve, reject) => {
      let received: Buffer = Buffer.alloc(0);
      const parts: Buffer[] = [];
      let bytes = 0;
      let head: Head | undefined;
      const settle = (error: Error | undefined, keep: boolean) => {
        clearTimeout(timer);
        socket.off("data", take).off("close", gone).off("error", failed);
        if (!keep) this.close();
        if (error) reject(error);
        else resolve({ ...(head as Head), body: Buffer.concat(parts) });
      };
      const gone = () => settle(new Error(`${path}: the connection ended before the answer was whole`), false);
      const failed = (error: Error) => settle(error, false);
      const timer = setTimeout(
        () => settle(new Error(`${path}: no whole answer after ${timeoutMs} ms`), false),
        timeoutMs,
      );
      const take = (chunk: Buffer) => {
        let rest = chunk;
        if (!head) {
          received = received.length === 0 ? chunk : Buffer.concat([received, chunk]);
          const end = received.indexOf(headEnd);
          if (end < 0) return;
          head = parseHead(received.toString("latin1", 0, end));
          rest = received.subarray(end + headEnd.length);
        }
        parts.push(rest);
        bytes += rest.length;
        const length = head.status === 204 ? 0 : Number(head.headers.get("content-length"));
        if (bytes < length) return;
        if (bytes > length) return settle(new Error(`${path}: more bytes than Content-Length says`), false);
        settle(undefined, head.headers.get("connection") !== "close");
      };
      socket.on("data", take).on("close", gone).on("error", failed);
      socket.write(requestBytes(this.url, path, options));
    });
  }

  close(): void {
    this.#socket?.destroy();
    this.#socket = undefined;
  }

  #connection(): net.Socket {
    if (this.#socket && !this.#socket.destroyed) return this.#socket;
    const socket = net.connect({ port: this.#port, host: this.#host, noDelay: true });
    socket.on("error", () => socket.destroy()); // between two requests as well
    this.#socket = socket;
    return socket;
  }
}

/** Asks once, on a connection of its own. */
export async function ask(url: string, path: string, options: RequestOptions = {}): Promise<Answer> {
  const peer = new Peer(url);
  try {
    return await peer.request(path, { ...options, headers: { ...options.headers, Connection: "close" } });
  } finally {
    peer.close();
  }
}

const blockEnd = Buffer.from("\n\n");

/** Cuts a stream into blocks. Strict: it throws at anything that the hub has no reason to write. */
export class BlockReader {
  #rest: Buffer[] = [];
  #restBytes = 0;

  /** Whether the stream ended between two blocks. */
  get isWhole(): boolean {
    return this.#restBytes === 0;
  }

  feed(chunk: Buffer): Block[] {
    // The two line ends may be cut apart by the border of two chunks.
    const last = this.#rest.at(-1);
    const cutApart = last?.at(-1) === 10 && chunk[0] === 10;
    const lastEnd = chunk.lastIndexOf(blockEnd);
    const end = lastEnd >= 0 ? lastEnd + 2 : cutApart ? 1 : -1;
    if (end < 0) {
      this.#rest.push(chunk);
      this.#restBytes += chunk.length;
      return [];
    }
    const text = Buffer.concat([...this.#rest, chunk.subarray(0, end)]).toString("utf8");
    this.#rest = end < chunk.length ? [chunk.subarray(end)] : [];
    this.#restBytes = chunk.length - end;
    return text.slice(0, -2).split("\n\n").map(parseBlock);
  }
}

function parseBlock(text: string): Block {
  const block: { -readonly [K in keyof Block]: Block[K] } = {};
  for (const line of text.split("\n")) {
    const colon = line.indexOf(":");
    const name = line.slice(0, colon);
    const value = line.slice(line[colon + 1] === " " ? colon + 2 : colon + 1);
    if (name === "data") block.data = block.data === undefined ? value : `${block.data}\n${value}`;
    else if (name === "id" || name === "event" || name === "channel") block[name] = value;
    else if (name === "retry" && /^\d+$/.test(value)) block.retry = Number(value);
    else if (colon === 0) block.comment = value;
    else throw new Error(`this line does not belong into a stream: ${JSON.stringify(line.slice(0, 200))}`);
  }
  return block;
}

export interface StreamListener {
  readonly onHead?: (head: Head) => void;
  readonly onBlock?: (block: Block) => void;
  /** Called once, however it ended; `whole` when no block was cut. An answer that is no stream ends with its head. */
  readonly onEnd?: (end: { readonly whole: boolean }) => void;
}

/** A GET /events over HTTP/1.1. It reads from the start on, unless `pause` is called. */
export class RawStream {
  readonly socket: net.Socket;
  readonly #reader = new BlockReader();
  readonly #listener: StreamListener;
  #received: Buffer | undefined = Buffer.alloc(0);
  head: Head | undefined;

  constructor(url: string, path: string, options: RequestOptions, listener: StreamListener) {
    this.#listener = listener;
    const { hostname, port } = new URL(url);
    this.socket = net.connect({ port: Number(port), host: hostname, noDelay: true });
    this.socket.on("data", (chunk: Buffer) => this.#take(chunk));
    this.socket.on("error", () => this.socket.destroy());
    this.socket.once("close", () => listener.onEnd?.({ whole: this.#reader.isWhole }));
    this.socket.write(requestBytes(url, path, options));
  }

  /** Stops reading: the kernel's buffers fill up, and then those of the hub. */
  pause(): void {
    this.socket.pause();
  }

  resume(): void {
    this.socket.resume();
  }

  destroy(): void {
    this.socket.destroy();
  }

  #take(chunk: Buffer): void {
    let body = chunk;
    if (this.#received) {
      const received = Buffer.concat([this.#received, chunk]);
      const end = received.indexOf(headEnd);
      this.#received = received;
      if (end < 0) return;
      this.#received = undefined;
      this.head = parseHead(received.toString("latin1", 0, end));
      this.#listener.onHead?.(this.head);
      body = received.subarray(end + headEnd.length);
    }
    if (this.head?.status !== 200) {
      this.socket.destroy();
      return;
    }
    if (body.length === 0) return;
    for (const block of this.#reader.feed(body)) this.#listener.onBlock?.(block);
  }
}

/** Opens a stream and resolves once its head has come. */
export function openStream(
  url: string,
  path: string,
  options: RequestOptions = {},
  listener: StreamListener = {},
): Promise<RawStream> {
  return new Promise((resolve, reject) => {
    const stream: RawStream = new RawStream(url, path, options, {
      ...listener,
      onHead: (head) => {
        listener.onHead?.(head);
        resolve(stream);
      },
      onEnd: (end) => {
        listener.onEnd?.(end);
        reject(new Error(`${path}: the connection ended before the head came`));
      },
    });
  });
}
