import { pick } from "./random.js";
import type { DemoSource } from "./source.js";

/** `type` is one that the page knows, or another: that is shown as `info`. */
interface Notification {
  readonly id: string;
  readonly type: string;
  readonly message: string;
  readonly simulated: true;
  /** Milliseconds since 1970. */
  readonly timestamp: number;
}

const people = ["Mara", "Jonas", "Edda", "Piet", "Runa", "Tove"] as const;
const works = ["“The third plank”", "“Notes on rye”", "“A wheel in winter”", "“Water at the weir”"] as const;

/** So often of a hundred, and what it says. */
const kinds: readonly (readonly [often: number, type: string, message: () => string])[] = [
  [26, "social", () => `${pick(people)} likes ${pick(works)}`],
  [18, "social", () => `${pick(people)} follows you now`],
  [20, "success", () => pick(["Your order has left the mill", "The backup is complete", "Payment received: 12.40"])],
  [
    14,
    "info",
    () => pick(["A new version is ready", "The office closes at five today", "Edda has joined the project"]),
  ],
  [
    12,
    "warning",
    () => pick(["The disk is 90 % full", "Your ticket ends in ten minutes", "Water is low at the upper weir"]),
  ],
  [6, "reminder", () => pick(["Tea at half past ten", "Oil the hoist"])],
  [4, "error", () => pick(["The printer does not answer", "An order could not be delivered: no such street"])],
];
/** As many of each kind as it comes often. */
const bag = kinds.flatMap(([often, type, message]) => Array.from({ length: often }, () => ({ type, message })));

/** A notification each four seconds, of all kinds. */
export const notifications: DemoSource = {
  name: "notifications",
  everyMs: 4000,
  backlog: 12,
  begin() {
    let last = "";
    return (timestamp) => {
      const { type, message } = pick(bag as [(typeof bag)[number]]);
      const text = message();
      if (text === last) return []; // the same twice looks like a fault of the page
      last = text;
      const id = `notification-${timestamp.toString(36)}`;
      return [
        { event: "notification", data: { id, type, message: text, simulated: true, timestamp } satisfies Notification },
      ];
    };
  },
};
