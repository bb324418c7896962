import { drift, round } from "./random.js";
import type { DemoSource } from "./source.js";

interface Price {
  readonly symbol: string;
  /** Two decimals, as `open`. */
  readonly price: number;
  /** What it began with. */
  readonly open: number;
  readonly time: number;
}

/** No company that there is. */
const listed = { MILL: 184.2, WEIR: 96.75, GRST: 41.3, OAKW: 272.9, BRSS: 12.48 };

/** A price of each of five symbols a second. */
export const stocks: DemoSource = {
  name: "stocks",
  everyMs: 1000,
  backlog: 90,
  begin(recent) {
    const last = new Map((recent as readonly Price[]).map((price) => [price.symbol, price]));
    const companies = Object.entries(listed).map(([symbol, first]) => {
      const { price, open } = last.get(symbol) ?? { price: first, open: first };
      return { symbol, price, open };
    });
    return (time) =>
      companies.map((company) => {
        // Drawn back to where it began, or a demo that runs for days ends at nothing.
        const pull = (company.open - company.price) * 0.01;
        company.price = Math.max(0.01, round(company.price + pull + drift(company.open * 0.0035), 2));
        const { symbol, price, open } = company;
        return { event: "price", key: symbol, data: { symbol, price, open, time } satisfies Price };
      });
  },
};
