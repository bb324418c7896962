import { once } from "node:events";
import http from "node:http";
import type { AddressInfo } from "node:net";

/** A server on a loopback port that can go away, and come back to the same port. */
export class Port {
  readonly #server: http.Server;
  #port = 0;

  private constructor(listener: http.RequestListener) {
    this.#server = http.createServer(listener);
  }

  /** @param port 0 for any that is free */
  static async open(listener: http.RequestListener, port = 0): Promise<Port> {
    const opened = new Port(listener);
    opened.#port = port;
    await opened.reopen();
    return opened;
  }

  get origin(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  async reopen(): Promise<void> {
    if (this.#server.listening) return;
    this.#server.listen(this.#port, "127.0.0.1");
    await once(this.#server, "listening");
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  /** All connections break. */
  cut(): void {
    this.#server.closeAllConnections();
  }

  /** All connections break, and others are refused. */
  async close(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = once(this.#server, "close");
    this.#server.close();
    this.cut();
    await closed;
  }
}
