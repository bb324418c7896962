import net from "node:net";
import { within } from "./until.js";

/** A TCP connection that says exactly what it is told, and keeps what it hears. */
export interface RawClient {
  readonly socket: net.Socket;
  send(bytes: string | Uint8Array): void;
  /** What was heard so far, as Latin-1. */
  heard(): string;
  /** Resolves when `text` has been heard; rejects when the connection ends before. */
  hears(text: string): Promise<void>;
  /** Resolves when the connection has ended, however it did. */
  readonly closed: Promise<void>;
}

/** Connects to a port of 127.0.0.1. Bytes are sent as Latin-1. */
export async function connectRaw(port: number, options: Partial<net.NetConnectOpts> = {}): Promise<RawClient> {
  const socket = net.connect({ port, host: "127.0.0.1", ...options });
  let heard = "";
  let changed = () => {};
  let ended = false;
  socket.setEncoding("latin1");
  socket.on("data", (text: string) => {
    heard += text;
    changed();
  });
  socket.on("error", () => socket.destroy());
  const closed = new Promise<void>((resolve) => {
    socket.once("close", () => {
      ended = true;
      changed();
      resolve();
    });
  });
  await within("a connection", new Promise<void>((resolve) => socket.once("connect", resolve)));
  return {
    socket,
    closed,
    heard: () => heard,
    send: (bytes) => void socket.write(typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes),
    hears: async (text) => {
      const has = new Promise<void>((resolve, reject) => {
        changed = () => {
          if (heard.includes(text)) resolve();
          else if (ended) reject(new Error(`ended before ${JSON.stringify(text)}: ${JSON.stringify(heard)}`));
        };
        changed();
      });
      await within(`${JSON.stringify(text)} after ${JSON.stringify(heard.slice(-200))}`, has);
    },
  };
}
