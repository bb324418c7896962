import { createHash, randomBytes } from "node:crypto";
import type { Identity } from "../hub/index.js";
import {
  checkNumber,
  checkOptionKinds,
  isWithin,
  MillraceError,
  parseSelection,
  type Selection,
} from "../protocol/index.js";
import { type Authorize, mistakeIn, type Refusal } from "./authorize.js";
import { parseQuery } from "./query.js";

/** Tickets let in whom the application knows and who cannot send a header: the native `EventSource`. */
export interface Tickets {
  /**
   * A ticket for one subscription as this identity, for the parameter `ticket`.
   * @param options `channels`: the only ones it is good for, as names or `prefix/*`. Default: any.
   * @throws MillraceError `invalid_option`, `invalid_channel`
   */
  issue(identity: Identity, options?: { readonly channels?: readonly string[] }): string;
  /** Lets in a subscriber who brings a ticket; any other request is up to `authorize`. */
  or(authorize: Authorize): Authorize;
}

export interface TicketOptions {
  /** How long a ticket is good for, in milliseconds, at most 30,000: addresses end up in logs. Default 30,000. */
  readonly lifetimeMs?: number;
  /** How many unused ones are kept; the oldest go first. Default 100,000. */
  readonly most?: number;
}

interface Kept {
  readonly identity: Identity;
  readonly selection: Selection | undefined;
  readonly untilMs: number;
}

const maxLifetimeMs = 30_000;

/**
 * Makes tickets: 256 random bits each, used once, known to this process only.
 *
 *     const tickets = createTickets();
 *     const hub = createHub({ authorize: tickets.or(authorize) });
 *     app.post("/ticket", login, (request, response) => response.json({ ticket: tickets.issue({ user: request.user.id }) }));
 *
 * @throws MillraceError `invalid_option`
 */
export function createTickets({ lifetimeMs = maxLifetimeMs, most = 100_000 }: TicketOptions = {}): Tickets {
  checkNumber("lifetimeMs", lifetimeMs, 0, maxLifetimeMs);
  checkNumber("most", most, 1, Infinity);
  /** By the hash of the ticket, oldest first. Looking a hash up tells nothing about the ticket by its time. */
  const kept = new Map<string, Kept>();

  const forgetOld = (nowMs: number) => {
    for (const [hash, { untilMs }] of kept) {
      if (untilMs > nowMs && kept.size <= most) return;
      kept.delete(hash);
    }
  };

  const redeem = (ticket: string, channels: readonly string[]): Identity | Refusal => {
    forgetOld(performance.now());
    const hash = hashOf(ticket);
    const found = kept.get(hash);
    if (!found) {
      return { refuse: 401, reason: "this ticket has been used, has expired, or is unknown: get a new one" };
    }
    if (found.selection && !isFor(channels, found.selection)) {
      return { refuse: 403, reason: "this ticket is not for these channels" };
    }
    kept.delete(hash);
    return found.identity;
  };

  return {
    issue(identity, options = {}) {
      if (typeof identity !== "object" || identity === null || "refuse" in identity) {
        throw new MillraceError("invalid_option", 'a ticket is for an identity: { user: "ann" }, or {} for a stranger');
      }
      const wrong = mistakeIn(identity);
      if (wrong !== undefined) throw new MillraceError("invalid_option", `a ticket was to be issued to ${wrong}`);
      checkOptionKinds("tickets.issue", options, { channels: ["array"] });
      const { channels } = options;
      const ticket = randomBytes(32).toString("base64url");
      const selection = channels === undefined ? undefined : parseSelection(channels);
      const nowMs = performance.now();
      kept.set(hashOf(ticket), { identity: { ...identity }, selection, untilMs: nowMs + lifetimeMs });
      forgetOld(nowMs);
      return ticket;
    },
    or: (authorize) => (request, access) => {
      if (access.action !== "subscribe") return authorize(request, access);
      const [, ticket] = parseQuery(request.query).find(([name]) => name === "ticket") ?? [];
      return ticket === undefined ? authorize(request, access) : redeem(ticket, access.channels);
    },
  };
}

/** Whether what is asked for is all in the selection. Nothing asked for: a stream that is not of these channels. */
function isFor(asked: readonly string[], selection: Selection): boolean {
  return asked.length > 0 && isWithin(parseSelection(asked), selection);
}

const hashOf = (ticket: string): string => createHash("sha256").update(ticket).digest("base64url");
