import type { AnyConnectOptions } from "../connect-options.js";
import { createLine, type LineTaker } from "../line.js";
import type { Source } from "../source.js";
import type { ConnectionStatus } from "../status.js";

/**
 * Reads what is there behind the taker's cursor, by polls that do not wait, and with all the patience of a connection.
 * Resolves at the tail.
 * @param onStatus told when it waits, and when it is closed for good: then it never resolves
 */
export function catchUp(
  source: Source,
  options: AnyConnectOptions,
  taker: LineTaker,
  onStatus: (status: ConnectionStatus) => void,
  signal: AbortSignal,
): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    const line = createLine(
      source,
      { ...options, hiddenMs: undefined },
      {
        ...taker,
        tell(type, event) {
          if (type === "state") onStatus(event as ConnectionStatus);
          else if (type !== "close" && type !== "comment") taker.tell(type, event);
        },
      },
      resolve,
    );
    signal.addEventListener("abort", () => {
      line.close();
      reject(signal.reason);
    });
    line.open();
  });
}
