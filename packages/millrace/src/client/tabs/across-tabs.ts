import { checkOptionKinds, invalidOption } from "../../protocol/index.js";
import type { AnyConnectOptions, Share } from "../connect-options.js";
import { createLine, type Line, type LineTaker } from "../line.js";
import type { Source } from "../source.js";
import { addressWithout } from "./address.js";
import { findBrowser } from "./browser.js";
import { createSharedLine } from "./member.js";

export interface TabsOptions {
  /** Tabs share with those of the same name. One for each user, where tokens go in headers. Default: none. */
  readonly name?: string | undefined;
}

/**
 * One connection for all tabs of this origin, whichever channels each of them reads. Tabs share with those whose addresses
 * are the same, but for `channel`, `rewind` and `lastEventId`. Where tabs cannot talk to each other, outside of secure
 * contexts (Web Locks), and with a server that is no hub, each has a connection of its own.
 *
 *     const stream = connect("/events?channel=prices", { share: acrossTabs() });
 *
 * @throws MillraceError `invalid_option`; `connect` does for a `body` or a `method` beside it
 */
export function acrossTabs(options: TabsOptions = {}): Share {
  checkOptionKinds("acrossTabs", options, { name: ["string"] });
  const { name = "" } = options;
  return (source: Source, options: AnyConnectOptions, taker: LineTaker): Line => {
    for (const what of ["body", "method"] as const) {
      if (options[what] !== undefined) {
        throw invalidOption(
          what,
          options[what],
          "a connection that is shared across tabs is asked for by its URL alone",
        );
      }
    }
    const browser = findBrowser();
    // A ticket lets in once: its tab cannot catch up beside a stream.
    if (!browser || new URL(source.url).searchParams.has("ticket")) return createLine(source, options, taker);
    const address = addressWithout(source.url, "channel", "rewind", "lastEventId");
    const group = `millrace ${JSON.stringify([name, address, options.withCredentials ?? false])}`;
    return createSharedLine(browser, group, source, options, taker);
  };
}
