import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createHub, createMemoryLog, type Log, type Millrace } from "millrace";
import { openDiskLog } from "millrace/log/disk";
import { afterEach, expect, test } from "vitest";
import { SharedDocument } from "../../src/demo/document.js";
import { openingText, WriterAtWork } from "../../src/demo/document-writer.js";
import { difference } from "../../src/demo/text/change.js";
import { Draft } from "../../src/demo/text/draft.js";
import { type Edit, limits, SharedText, type TextState } from "../../src/demo/text/shared-text.js";

const channel = "demo/document";
const cleanups: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

const fail = (error: Error) => {
  throw error;
};

function begin(log: Log): { hub: Millrace; document: SharedDocument } {
  const hub = createHub({ log });
  cleanups.push(() => hub.close({ drainMs: 0 }));
  return { hub, document: new SharedDocument(hub, fail) };
}

/** A page: it begins with the state, follows the channel, and publishes what it writes. */
async function openPage(hub: Millrace, document: SharedDocument) {
  const { position, state } = await document.read();
  const draft = new Draft("Ada");
  draft.load(state);
  let lastEventId = position;
  const read = async () => {
    const until = await hub.publish({ channel, data: "up to here" });
    for await (const { id, event, data } of hub.subscribe({ channels: [channel], lastEventId })) {
      if (event === "millrace.state") draft.load(data as TextState);
      else draft.receive(data);
      lastEventId = id;
      if (id === until) return;
    }
  };
  const publish = async () => {
    for (let edit = draft.take(); edit; edit = draft.take()) {
      await hub.publish({ channel, event: "edit", data: edit });
      await read();
    }
  };
  const write = async (text: string) => {
    draft.write(difference(draft.text, draft.text + text));
    await publish();
  };
  return { draft, write, read, publish };
}

test("a page that comes has the whole text, and what follows it", async () => {
  const { hub, document } = begin(createMemoryLog());
  const first = await openPage(hub, document);
  await first.write("one ");
  await hub.publish({ channel, event: "edit", data: { change: "nonsense" } });
  await hub.publish({ channel, data: "a text" });
  const second = await openPage(hub, document);
  expect(second.draft.text).toBe(`${openingText}one `);
  await first.write("two ");
  await second.read();
  await second.write("three");
  await first.read();
  expect(first.draft.text).toBe(`${openingText}one two three`);
  expect((await document.read()).state.text).toBe(first.draft.text);
});

test("the text outlives the hub, with what was written while nobody kept its state", async () => {
  const folder = await mkdtemp(join(tmpdir(), "millrace-document-"));
  cleanups.push(() => rm(folder, { recursive: true, force: true }));
  const stopping = new AbortController();
  const before = begin(await openDiskLog(folder));
  before.document.start(stopping.signal);
  const page = await openPage(before.hub, before.document);
  for (let at = 0; at < 100; at++) await page.write(`${at} `);
  stopping.abort();
  const { state } = await before.document.read();
  await before.hub.close({ drainMs: 0 });

  const after = begin(await openDiskLog(folder));
  expect((await after.document.read()).state).toEqual(state);
  await page.write(""); // nothing
  const newcomer = await openPage(after.hub, after.document);
  await newcomer.write("after");
  expect(newcomer.draft.text).toBe(`${page.draft.text}after`);
});

test("nobody else can publish its state", async () => {
  const log = createMemoryLog();
  const { hub, document } = begin(log);
  const state = { era: "forged", text: "forged", position: hub.position() };
  for (const to of [channel, `${channel}/state`]) {
    await expect(hub.publish({ channel: to, event: "millrace.state", data: state })).rejects.toThrow(/reserved/);
  }
  await hub.publish({ channel: `${channel}/state`, event: "state", data: state });
  const page = await openPage(hub, document);
  await page.write("mine");
  expect((await document.read()).state.text).toBe(`${openingText}mine`);
});

test("when edits are gone that nobody has, all go on from one text, and keep what they are about to write", async () => {
  const folder = await mkdtemp(join(tmpdir(), "millrace-document-"));
  cleanups.push(() => rm(folder, { recursive: true, force: true }));
  const retention = { events: 10 };
  const before = begin(await openDiskLog(folder, { retention }));
  const page = await openPage(before.hub, before.document);
  for (let at = 0; at < 30; at++) await page.write(`${at} `); // its state is that of the opening
  page.draft.write(difference(page.draft.text, `${page.draft.text}unsent`));
  page.draft.take(); // and its publish has failed
  await before.hub.close({ drainMs: 0 });

  const after = begin(await openDiskLog(folder, { retention }));
  const follower = await openPage(after.hub, after.document);
  expect(follower.draft.text).toBe(openingText);
  // The page was at the end of the channel, so no gap is said to it: the state that comes over the channel tells it.
  let states = 0;
  for await (const { event, data } of after.hub.subscribe({ channels: [channel], rewind: "all" })) {
    if (event !== "millrace.state") continue;
    page.draft.load(data as TextState);
    states++;
    break;
  }
  expect(states).toBe(1);
  const edit = page.draft.take();
  await after.hub.publish({ channel, event: "edit", data: edit });
  page.draft.receive(edit);
  await follower.read();
  expect(follower.draft.text).toBe(`${openingText}unsent`);
  expect(page.draft.text).toBe(follower.draft.text);
  expect((await after.document.read()).state.text).toBe(follower.draft.text);
});

test("the simulated writer writes while somebody looks", async () => {
  const { hub, document } = begin(createMemoryLog());
  const stopping = new AbortController();
  cleanups.push(async () => stopping.abort());
  document.start(stopping.signal);
  expect((await document.read()).state.version).toBe(0);
  for await (const { data } of hub.subscribe({ channels: [channel], rewind: "all" })) {
    if ((data as Edit).name === "Simulated writer") break;
  }
  expect((await document.read()).state.text).toMatch(/^Simulated writer: \w+/m);
});

test("the simulated writer keeps to one paragraph, and leaves that of others alone", () => {
  const text = new SharedText({ era: "first", text: openingText });
  const writer = new WriterAtWork();
  writer.load(text.toJSON());
  const lengths = new Set<number>();
  const turns = (count: number) => {
    for (let turn = 0; turn < count; turn++) {
      const edit = writer.next();
      if (!edit) continue;
      text.receive(edit);
      writer.receive(edit);
      lengths.add(text.text.length);
    }
  };
  turns(500);
  expect(lengths.size).toBeGreaterThan(20);
  expect(Math.max(...lengths)).toBeLessThan(openingText.length + 120);
  const [above = "", below = ""] = openingText.split("Simulated writer: ");
  expect(text.text.startsWith(above)).toBe(true);
  expect(text.text.endsWith(below)).toBe(true);

  // Visitors write in its paragraph, again and again: each time it leaves that one to them.
  for (let count = 1; count <= 300; count++) {
    const place = [...text.text.slice(0, text.text.indexOf("Simulated writer: ") + 20)].length;
    const visit: Edit = {
      author: "visitor",
      name: "Bo",
      count,
      era: "first",
      base: text.version,
      change: [place, "!"],
    };
    text.receive(visit);
    writer.receive(visit);
    turns(3);
  }
  expect(text.text.match(/!/g)?.length).toBeGreaterThan(50);
  expect(text.text.length).toBeLessThan(limits.text);
});

test("publishes again what has not come back, as it was", () => {
  const writer = new WriterAtWork();
  writer.load({ era: "first", text: openingText });
  const edit = writer.next();
  expect(edit).toBeDefined();
  expect(writer.next()).toBe(edit);
});
