import { between, clamp, drift, pick, round } from "./random.js";
import type { DemoSource } from "./source.js";

/** A web shop in one second. Totals are of the day, rates are smoothed over about a minute. */
interface Figures {
  readonly time: number;
  readonly visitors: number;
  readonly viewsPerSecond: number;
  readonly ordersPerMinute: number;
  readonly revenuePerMinute: number;
  /** Orders for each hundred visits. */
  readonly conversionPercent: number;
  readonly total: { readonly visits: number; readonly orders: number; readonly revenue: number };
  /** Visits by where they come from, and views by page. */
  readonly from: Readonly<Record<string, number>>;
  readonly pages: Readonly<Record<string, number>>;
}

const opening: Figures = {
  time: 0,
  visitors: 240,
  viewsPerSecond: 9,
  ordersPerMinute: 11,
  revenuePerMinute: 640,
  conversionPercent: 3.1,
  total: { visits: 18_412, orders: 573, revenue: 33_926 },
  from: { Search: 8_120, Direct: 5_310, "Social media": 3_240, Newsletter: 1_742 },
  pages: { "/": 14_930, "/grain-mills": 9_212, "/flour": 7_405, "/spare-parts": 3_318, "/checkout": 1_120 },
};

const origins = ["Search", "Search", "Search", "Direct", "Direct", "Social media", "Newsletter"] as const;
const viewed = ["/", "/", "/", "/grain-mills", "/grain-mills", "/flour", "/flour", "/spare-parts"] as const;

/** Each second what a web shop looks at. */
export const dashboard: DemoSource = {
  name: "dashboard",
  everyMs: 1000,
  backlog: 120,
  begin(recent) {
    let now = (recent.at(-1) as Figures | undefined) ?? opening;
    return (time) => {
      const swing = 240 + 70 * Math.sin(time / 31_000) + 30 * Math.sin(time / 7_000);
      const visitors = Math.max(12, Math.round(now.visitors + (swing - now.visitors) * 0.15 + drift(9)));
      const visits = times(visitors / 45);
      const views = times(visitors / 26);
      const buyers = times(visits.length * 0.031);
      const orders = buyers.length;
      const revenue = buyers.reduce((sum) => sum + round(between(18, 110)), 0);
      now = {
        time,
        visitors,
        viewsPerSecond: smooth(now.viewsPerSecond, views.length, 0.25),
        ordersPerMinute: smooth(now.ordersPerMinute, orders * 60, 0.04),
        revenuePerMinute: smooth(now.revenuePerMinute, revenue * 60, 0.04),
        conversionPercent: round(
          clamp(now.conversionPercent + (3.1 - now.conversionPercent) * 0.02 + drift(0.12), 1.8, 4.6),
          2,
        ),
        total: {
          visits: now.total.visits + visits.length,
          orders: now.total.orders + orders,
          revenue: now.total.revenue + revenue,
        },
        from: counted(
          now.from,
          visits.map(() => pick(origins)),
        ),
        pages: counted(now.pages, [...views.map(() => pick(viewed)), ...buyers.map(() => "/checkout")]),
      };
      return [{ event: "figures", data: now }];
    };
  },
};

/** A list of about so many, as chance has it. */
function times(mean: number): readonly undefined[] {
  let length = 0;
  for (let chance = Math.random(); chance > Math.exp(-mean); chance *= Math.random()) length += 1;
  return Array(length).fill(undefined);
}

const smooth = (before: number, now: number, weight: number): number => round(before + (now - before) * weight, 2);

function counted(before: Readonly<Record<string, number>>, more: readonly string[]): Record<string, number> {
  const counts = { ...before };
  for (const name of more) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}
