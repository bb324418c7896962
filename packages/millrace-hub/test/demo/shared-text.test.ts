import { describe, expect, onTestFailed, test } from "vitest";
import { mulberry } from "../../../millrace/test/mulberry.js";
import { type Change, difference } from "../../src/demo/text/change.js";
import { Draft } from "../../src/demo/text/draft.js";
import { type Edit, limits, SharedText, type TextState } from "../../src/demo/text/shared-text.js";

const start: TextState = { era: "first", text: "" };

/** A Draft of the state, and what it has published on a channel that is an array. */
function writer(state: TextState = start, name = "Ada") {
  const draft = new Draft(name);
  draft.load(state);
  const type = (at: number, insert: string, remove = 0) => {
    const points = [...draft.text];
    points.splice(at, remove, ...insert);
    draft.write(difference(draft.text, points.join("")));
  };
  return { draft, type };
}

const edit = (change: Change, more: Partial<Edit> = {}): Edit => ({
  ...{ author: "abcdef", name: "Bo", count: 1, era: "first", base: 0 },
  change,
  ...more,
});

describe("a shared text", () => {
  test("changes an edit by those that its writer did not know of", () => {
    const text = new SharedText({ era: "first", text: "ab" });
    expect(text.receive(edit([1, "X"]))).toEqual({ change: [1, "X"] });
    expect(text.receive(edit([1, "Y", -1], { author: "ghijkl" }))).toEqual({ change: [2, "Y", -1] });
    expect(text.text).toBe("aXY");
    expect(text.version).toBe(2);
  });

  test.each<[string, unknown]>([
    ["nothing", undefined],
    ["a text", "hello"],
    ["no change", { ...edit([]), change: undefined }],
    ["a part of another kind", { ...edit([]), change: [1, null] }],
    ["half a part", edit([0.5])],
    ["a part beyond all numbers", edit([Number.MAX_SAFE_INTEGER + 1, "x"])],
    ["parts that are not joined", edit([1, 1, "x"])],
    ["a change that reaches too far", edit([3, "x"])],
    ["one that removes too much", edit([-3])],
    ["half a character", edit(["\ud83d"])],
    ["control characters", edit(["a\u0007"])],
    ["line ends that pages change", edit(["a\r\nb"])],
    ["too much at once", edit(["x".repeat(limits.text + 1)])],
    ["too many parts", edit(Array.from({ length: limits.parts + 2 }, (_, at) => (at % 2 ? "x" : 1)))],
    ["an author that is none", edit(["x"], { author: "__proto__" })],
    ["a name that is a story", edit(["x"], { name: "x".repeat(200) })],
    ["a count that is none", edit(["x"], { count: 1.5 })],
    ["a base that is none", { ...edit(["x"]), base: "0" }],
  ])("is not changed by %s", (_, what) => {
    const text = new SharedText({ era: "first", text: "ab" });
    expect(text.receive(what)).toEqual({ refused: "malformed" });
    expect(text.toJSON()).toEqual(new SharedText({ era: "first", text: "ab" }).toJSON());
  });

  test("makes no edit twice, and none of another history", () => {
    const text = new SharedText(start);
    text.receive(edit(["x"]));
    expect(text.receive(edit(["x"]))).toEqual({ refused: "repeated" });
    expect(text.receive(edit(["x"], { count: 2, base: 2 }))).toEqual({ refused: "outdated" });
    expect(text.receive(edit(["x"], { count: 2, era: "second" }))).toEqual({ refused: "outdated" });
    for (let count = 1; count <= 400; count++) text.receive(edit(["y"], { author: "ghijkl", count, base: count }));
    expect(text.receive(edit(["x"], { author: "mnopqr", base: 1 }))).toEqual({ refused: "outdated" });
    expect(text.version).toBe(401);
  });

  test("has bounds, whatever is published", () => {
    const text = new SharedText(start);
    for (let count = 1; count <= 2000; count++) {
      text.receive(edit(["z".repeat(limits.text)], { author: `author${count}`, base: text.version }));
      text.receive(edit([-1], { author: `author${count}`, count: 2, base: text.version }));
    }
    expect(text.text.length).toBeLessThanOrEqual(limits.most);
    expect(JSON.stringify(text).length).toBeLessThan(3 * limits.most);
    const full = new SharedText({ era: "first", text: "z".repeat(limits.most) });
    expect(full.receive(edit(["x"]))).toEqual({ refused: "full" });
    expect(full.receive(edit([-1]))).toEqual({ change: [-1] });
  });

  test("goes on from its state as if it had never been away", () => {
    const text = new SharedText({ era: "first", text: "ab" });
    const twin = () => new SharedText(JSON.parse(JSON.stringify(text)));
    text.receive(edit([1, "X"]));
    const other = twin();
    for (const late of [edit([2, "Y"], { author: "ghijkl" }), edit([1, "X"])])
      expect(other.receive(late)).toEqual(text.receive(late));
    expect(other.toJSON()).toEqual(text.toJSON());
  });
});

describe("a draft", () => {
  test("shows at once what is typed, and sends one edit at a time", () => {
    const { draft, type } = writer({ era: "first", text: "ab" });
    type(1, "x");
    const first = draft.take();
    expect(first).toMatchObject({ name: "Ada", count: 1, base: 0, change: [1, "x"] });
    type(2, "y");
    type(3, "z");
    expect(draft.text).toBe("axyzb");
    expect(draft.take()).toBeUndefined();
    expect(draft.receive(first)).toEqual({ change: [] });
    expect(draft.take()).toMatchObject({ count: 2, base: 1, change: [2, "yz"] });
  });

  test("says how others' edits change what it shows", () => {
    const { draft, type } = writer({ era: "first", text: "ab" });
    type(0, "me");
    expect(draft.receive(edit([1, "you"]))).toEqual({ change: [3, "you"] });
    expect(draft.text).toBe("meayoub");
  });

  test("loses no letter to a stranger who publishes as it does", () => {
    const { draft, type } = writer();
    const all = new SharedText(start);
    type(0, "mine");
    const sent = draft.take() as Edit;
    const forged = [
      { ...sent, change: ["forged "] as Change },
      { ...sent, count: 99, base: 1, change: ["more "] as Change },
    ];
    const log: unknown[] = [...forged, sent];
    for (let at = 0; at < log.length; at++) {
      all.receive(log[at]);
      draft.receive(log[at]);
      const next = draft.take();
      if (next) log.push(next);
    }
    expect(draft.text).toBe(all.text);
    expect(all.text.match(/mine/g)).toEqual(["mine"]);
    expect(draft.isSaved).toBe(true);
  });

  test("sends again what was outdated when it came, and what the text had no room for", () => {
    const { draft, type } = writer();
    const all = new SharedText(start);
    type(0, "mine");
    const sent = draft.take();
    for (let count = 1; count <= 400; count++) {
      const other = edit(count === 1 ? ["o"] : [count - 1, "o"], { count, base: count - 1 });
      all.receive(other);
      draft.receive(other);
    }
    expect(draft.sent).toBeUndefined();
    expect(all.receive(sent)).toEqual({ refused: "outdated" });
    const again = draft.take() as Edit;
    for (const late of [again, sent, again]) {
      all.receive(late);
      draft.receive(late);
    }
    expect(draft.text).toBe(all.text);
    expect(all.text.match(/mine/g)).toEqual(["mine"]);

    const full = writer({ era: "first", text: "z".repeat(limits.most) });
    full.type(0, "x");
    expect(full.draft.receive(full.draft.take())).toEqual({ change: [], refused: "full" });
    full.draft.receive(edit([-10]));
    expect(full.draft.receive(full.draft.take())).toEqual({ change: [] });
    expect(full.draft.isSaved).toBe(true);
  });

  test("sends what removed all in parts, when others have written in it meanwhile", () => {
    const text = "ab".repeat(1000);
    const { draft, type } = writer({ era: "first", text });
    const all = new SharedText({ era: "first", text });
    type(0, "", 2000);
    for (let count = 1; count <= 290; count++) {
      const other = edit([count * 4, "o"], { count, base: count - 1 });
      all.receive(other);
      draft.receive(other);
    }
    for (let next = draft.take(); next; next = draft.take()) {
      expect(all.receive(next).refused).toBeUndefined();
      draft.receive(next);
    }
    expect(all.text).toBe("o".repeat(290));
    expect(draft.text).toBe(all.text);
  });

  test("keeps what was typed over a state that has lost edits", () => {
    const { draft, type } = writer({ era: "first", text: "once" });
    draft.receive(edit([4, " upon"]));
    type(9, " a time");
    draft.take();
    type(16, "!");
    draft.load({ era: "second", text: "once" });
    expect(draft.text).toBe("once a time!");
    const edits = [];
    const all = new SharedText({ era: "second", text: "once" });
    for (let next = draft.take(); next; next = draft.take()) {
      edits.push(next);
      all.receive(next);
      draft.receive(next);
    }
    expect(edits.map(({ era }) => era)).toEqual(["second", "second"]);
    expect(all.text).toBe("once a time!");
  });
});

/** Letters that come once in a test: from both sides of the border of UTF-16 units. */
const letterOf = (number: number) => String.fromCodePoint((number % 2 ? 0x4e00 : 0x20000) + number);

describe("many who write at once", () => {
  const runs = Array.from({ length: 20 }, (_, at) => at + 1);
  test.each(runs)("come to the same text, and no letter is lost or doubled: run %i", (run) => {
    const seed = Number(process.env.MILLRACE_SEED ?? Math.floor(Math.random() * 2 ** 31)) + run;
    onTestFailed(() => console.log(`MILLRACE_SEED=${seed - run}, run ${run}`));
    const random = mulberry(seed);
    const upTo = (most: number) => Math.floor(random() * (most + 1));
    const chance = (share: number) => random() < share;

    /** What the hub has, in its order; and what is on its way there, any of which may come twice. */
    const log: unknown[] = [];
    const underWay: unknown[] = [];
    let lastLetter = 0;
    const inserted = new Set<string>();
    const removed = new Set<string>();
    const opening = "The quick 👩‍🚀 jumps.";
    /** By position, what the server would answer. */
    const folded = new SharedText({ era: "first", text: opening });
    let foldedTo = 0;
    let reloads = 0;
    const fold = (to: number): TextState => {
      for (; foldedTo < to; foldedTo++) folded.receive(log[foldedTo]);
      return JSON.parse(JSON.stringify(folded));
    };
    const open = () => {
      const { draft } = writer(fold(log.length), `writer ${run}`);
      return { draft, at: foldedTo };
    };
    const pages = Array.from({ length: 2 + upTo(4) }, open);
    const newPages = chance(0.5) ? 2 : 0;
    const gaps = chance(0.5);

    function type(draft: Draft): void {
      const points = [...draft.text];
      const at = upTo(points.length);
      const fresh = Array.from({ length: chance(0.85) ? 1 + upTo(3) : 0 }, () => letterOf(++lastLetter));
      for (const letter of fresh) inserted.add(letter);
      for (const letter of points.splice(at, chance(0.3) ? upTo(4) : 0, ...fresh)) removed.add(letter);
      draft.write(difference(draft.text, points.join("")));
    }

    function publish(page: (typeof pages)[number]): void {
      const edit = page.draft.take();
      if (!edit) return;
      underWay.push(edit);
      if (chance(0.2)) underWay.push(JSON.parse(JSON.stringify(edit)));
    }

    function arrive(): void {
      const [edit] = underWay.splice(upTo(underWay.length - 1), 1);
      log.push(edit);
      const { count } = edit as Edit;
      // What strangers publish, of nobody or in the name of another.
      if (chance(0.05)) log.push({ ...(edit as Edit), count: count + 1, change: [1e9, "x"] });
      if (chance(0.05)) log.push(["nothing"]);
    }

    function read(page: (typeof pages)[number], most: number): void {
      for (let left = most; left > 0 && page.at < log.length; left--) page.draft.receive(log[page.at++]);
    }

    function reload(page: (typeof pages)[number]): void {
      if (page.at > foldedTo) fold(page.at);
      page.draft.load(fold(foldedTo + upTo(log.length - foldedTo)));
      page.at = foldedTo;
      reloads++;
    }

    for (let step = 0; step < 600; step++) {
      const page = pages[upTo(pages.length - 1)] as (typeof pages)[number];
      if (chance(0.5)) type(page.draft);
      if (chance(0.6)) publish(page);
      if (underWay.length > 0 && chance(0.5)) arrive();
      if (chance(0.5)) read(page, upTo(8));
      if (gaps && chance(0.01)) reload(page);
      if (pages.length < 6 + newPages && chance(0.005)) pages.push(open());
    }
    for (let rounds = 0; ; rounds++) {
      for (const page of pages) {
        read(page, Infinity);
        publish(page);
      }
      while (underWay.length > 0) arrive();
      if (pages.every(({ draft, at }) => draft.isSaved && at === log.length)) break;
      expect(rounds).toBeLessThan(200);
    }

    const { text } = fold(log.length);
    for (const { draft } of pages) expect(draft.text).toBe(text);
    const found = [...text].filter((letter) => inserted.has(letter));
    expect(new Set(found).size).toBe(found.length);
    const missing = [...inserted].filter((letter) => !removed.has(letter) && !text.includes(letter));
    expect(missing).toEqual([]);
    const stayed = found.filter((letter) => removed.has(letter));
    if (reloads === 0) expect(stayed).toEqual([]);
    expect(inserted.size).toBeGreaterThan(100);
  });
});
