import http, { type IncomingHttpHeaders } from "node:http";
import { until } from "../../support/until.js";

/** A stream as it comes over the wire: nothing is decompressed, nothing is parsed. */
export interface ReceivedStream extends Disposable {
  readonly status: number | undefined;
  readonly headers: IncomingHttpHeaders;
  text(): string;
  /** Waits until so much has come. */
  holds(part: string): Promise<void>;
  /** Whether the server has ended it. */
  ended(): boolean;
  close(): void;
}

/** Opens a stream, as a browser does that takes compressed answers. */
export function openStream(url: string, headers: Record<string, string>): Promise<ReceivedStream> {
  return new Promise((resolve, reject) => {
    const request = http.get(url, { agent: false, headers: { "accept-encoding": "gzip, br", ...headers } });
    request.once("error", reject);
    request.once("response", (response) => {
      let text = "";
      let ended = false;
      response.setEncoding("utf8").on("data", (part: string) => {
        text += part;
      });
      response.once("end", () => {
        ended = true;
      });
      response.on("error", () => {}); // it was closed here
      const close = () => void response.destroy();
      resolve({
        status: response.statusCode,
        headers: response.headers,
        text: () => text,
        holds: (part) =>
          until(
            () => `${part} in ${JSON.stringify(text)}`,
            () => text.includes(part),
          ),
        ended: () => ended,
        close,
        [Symbol.dispose]: close,
      });
    });
  });
}
