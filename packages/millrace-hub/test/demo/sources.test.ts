import { describe, expect, test } from "vitest";
import { chat } from "../../src/demo/chat.js";
import { news } from "../../src/demo/news.js";
import { notifications } from "../../src/demo/notifications.js";

const startMs = 1_800_000_000_000;

/** What a source publishes in so many rounds. */
function rounds({ begin, everyMs }: typeof news, count: number, recent: readonly unknown[] = []) {
  const makeRound = begin(recent);
  return Array.from({ length: count }, (_, at) => makeRound(startMs + at * everyMs)).flat();
}

describe("news", () => {
  test("has an item each five seconds, with its id, its type, its title and its time", () => {
    const items = rounds(news, 200);
    expect(news.everyMs).toBe(5000);
    expect(items).toHaveLength(200);
    expect(items[1]).toEqual({
      event: "item",
      data: { id: expect.any(String), type: expect.any(String), title: expect.any(String), timestamp: startMs + 5000 },
    });
    expect(new Set(items.map(({ data }) => (data as { id: string }).id)).size).toBe(200);
  });

  test("does not repeat itself within fifty items, also over a restart", () => {
    const first = rounds(news, 60).map(({ data }) => data as { title: string });
    const titles = [...first, ...rounds(news, 60, first).map(({ data }) => data as { title: string })].map(
      ({ title }) => title,
    );
    for (let at = 0; at + 50 <= titles.length; at++) expect(new Set(titles.slice(at, at + 50)).size).toBe(50);
  });
});

describe("chat", () => {
  test("has a message each three seconds, of three people who say that they are simulated", () => {
    const messages = rounds(chat, 60).map(({ event, data }) => ({
      event,
      ...(data as { name: string; simulated: boolean }),
    }));
    expect(chat.everyMs).toBe(3000);
    expect(messages).toHaveLength(60);
    expect(new Set(messages.map(({ name }) => name)).size).toBe(3);
    expect(messages.every(({ event, simulated }) => event === "message" && simulated)).toBe(true);
  });

  test("goes on with the next line after a restart", () => {
    const all = rounds(chat, 10).map(({ data }) => data as { text: string });
    const again = rounds(chat, 1, all.slice(0, 4)).map(({ data }) => data as { text: string });
    expect(again[0]?.text).toBe(all[4]?.text);
  });
});

test("notifications are of all kinds, one that the page does not know among them, and never the same twice in a row", () => {
  const all = rounds(notifications, 2000).map(
    ({ data }) => data as { type: string; message: string; simulated: boolean },
  );
  expect(new Set(all.map(({ type }) => type))).toEqual(
    new Set(["success", "warning", "info", "error", "social", "reminder"]),
  );
  expect(all.every(({ simulated }) => simulated)).toBe(true);
  for (const [at, { message }] of all.entries()) expect(message).not.toBe(all[at + 1]?.message);
});
