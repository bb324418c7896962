/** What is simulated stays believable, however long a demo runs, and over any restart. */
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFailed, test, vi } from "vitest";
import { mulberry } from "../../../millrace/test/mulberry.js";
import { dashboard } from "../../src/demo/dashboard.js";
import { scores } from "../../src/demo/scores.js";
import { sensors } from "../../src/demo/sensors.js";
import type { DemoSource } from "../../src/demo/source.js";
import { stocks } from "../../src/demo/stocks.js";

const seed = Number(process.env.MILLRACE_SEED ?? Math.floor(Math.random() * 2 ** 31));
const startMs = 1_800_000_000_000;

beforeAll(() => {
  vi.spyOn(Math, "random").mockImplementation(mulberry(seed));
});

beforeEach(() => {
  onTestFailed(() => console.log(`MILLRACE_SEED=${seed}`));
});

afterAll(() => {
  vi.restoreAllMocks();
});

/** Rounds of events, oldest first, with a restart after each hundred. */
function live<T>({ begin, everyMs }: DemoSource, rounds: number): { event: string; data: T }[][] {
  const all: { event: string; data: T }[][] = [];
  let makeRound = begin([]);
  for (let at = 0; at < rounds; at++) {
    if (at % 100 === 99) {
      const recent = all.slice(-100).flat();
      makeRound = begin(JSON.parse(JSON.stringify(recent.map(({ data }) => data))));
    }
    all.push(makeRound(startMs + at * everyMs) as { event: string; data: T }[]);
  }
  return all;
}

const decimals = (value: number) => String(value).split(".")[1]?.length ?? 0;

test("stocks: five symbols a second, with two decimals and no leap", () => {
  interface Price {
    symbol: string;
    price: number;
    open: number;
  }
  const rounds = live<Price>(stocks, 3_000);
  expect(stocks.everyMs).toBe(1000);
  const last = new Map<string, Price>();
  for (const round of rounds) {
    expect(new Set(round.map(({ data }) => data.symbol)).size).toBe(5);
    for (const { data } of round) {
      expect(decimals(data.price)).toBeLessThanOrEqual(2);
      expect(data.price / data.open).toBeGreaterThan(0.7);
      expect(data.price / data.open).toBeLessThan(1.4);
      const before = last.get(data.symbol);
      if (before) expect(Math.abs(data.price / before.price - 1)).toBeLessThan(0.02);
      last.set(data.symbol, data);
    }
  }
});

test("sensors: readings within bounds, and devices that go and come back", () => {
  interface Device {
    device: string;
    online: boolean;
    temperature: number;
    humidity: number;
    battery: number;
  }
  const events = live<Device>(sensors, 3_000).flat();
  const online = new Map<string, boolean>();
  for (const { event, data } of events) {
    expect(data.humidity).toBeGreaterThanOrEqual(0);
    expect(data.humidity).toBeLessThanOrEqual(100);
    expect(data.battery).toBeGreaterThan(0);
    expect(data.battery).toBeLessThanOrEqual(100);
    expect(Math.abs(data.temperature)).toBeLessThan(260);
    expect(decimals(data.temperature)).toBeLessThanOrEqual(1);
    if (event === "reading") expect(data.online).toBe(true);
    else expect(data.online).toBe(online.get(data.device) === false);
    online.set(data.device, data.online);
  }
  expect(online.size).toBe(8);
});

test("dashboard: totals only grow, percentages are some", () => {
  interface Figures {
    visitors: number;
    conversionPercent: number;
    ordersPerMinute: number;
    total: { visits: number; orders: number };
    from: Record<string, number>;
  }
  const figures = live<Figures>(dashboard, 3_000).map(([first]) => (first as { data: Figures }).data);
  for (const [at, now] of figures.entries()) {
    expect(now.visitors).toBeGreaterThan(0);
    expect(now.conversionPercent).toBeGreaterThan(0);
    expect(now.conversionPercent).toBeLessThan(10);
    expect(Object.values(now.from).reduce((sum, value) => sum + value)).toBe(now.total.visits);
    const before = figures[at - 1];
    if (before) expect(now.total.orders).toBeGreaterThanOrEqual(before.total.orders);
  }
  const last = figures.at(-1) as Figures;
  expect(last.total.orders / last.total.visits).toBeGreaterThan(0.02);
  expect(last.total.orders / last.total.visits).toBeLessThan(0.05);
});

describe("scores", () => {
  interface Event {
    ground: string;
    game: number;
    teams: [string, string];
    score: [number, number];
    minute: number;
    phase?: string;
    kind?: string;
    team: 0 | 1;
  }
  let rounds: { event: string; data: Event }[][];
  beforeAll(() => {
    rounds = live<Event>(scores, 1_500);
  });

  test("no team plays twice at a time", () => {
    for (const round of rounds) {
      const teams = round.flatMap(({ event, data }) => (event === "match" ? data.teams : []));
      expect(teams).toHaveLength(8);
      expect(new Set(teams).size).toBe(8);
    }
  });

  test("the score is that of the goals, and the clock goes from 0 to 90", () => {
    const goals = new Map<string, [number, number]>();
    let played = 0;
    for (const { event, data } of rounds.flat()) {
      const match = `${data.ground} ${data.game}`;
      const known = goals.get(match) ?? [0, 0];
      if (data.kind === "goal") known[data.team] += 1;
      goals.set(match, known);
      expect(data.score).toEqual(known);
      expect(data.minute).toBeGreaterThanOrEqual(0);
      expect(data.minute).toBeLessThanOrEqual(90);
      if (event === "match" && data.phase === "full time") {
        expect(data.minute).toBe(90);
        played += 1;
      }
    }
    expect(played).toBeGreaterThan(30);
  });
});
