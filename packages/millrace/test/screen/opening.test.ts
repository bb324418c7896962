/** What comes over from one opening of a connection to the next, and what must not. */
import { expect, onTestFinished, test, vi } from "vitest";
import type { ConnectFetch, ReceivedEvent } from "../../src/client/index.js";
import type { Authorize, MillraceOptions } from "../../src/index.js";
import { type ConnectionOptions, Link, Recent } from "../../src/screen/index.js";
import { createFakeHub, until } from "../../src/testing/index.js";

function hold(options: MillraceOptions = {}) {
  const hub = createFakeHub(options);
  onTestFinished(() => hub.close());
  const link = new Link("connecting");
  const asked: { readonly query: string; readonly token: string | undefined }[] = [];
  const fetch: ConnectFetch = (url, init) => {
    const { pathname, search } = new URL(String(url));
    asked.push({ query: pathname === "/events" ? search : `${init.body}`, token: init.headers.Authorization });
    return hub.fetch(String(url), init as RequestInit) as ReturnType<ConnectFetch>;
  };
  const open = (query: string, options: () => ConnectionOptions = () => ({})) => {
    const { key } = options();
    const all = () => ({ fetch, backoff: { baseMs: 5, maxMs: 20 }, ...options() });
    const close = link.open(`http://hub.test/events${query}`, key, all);
    onTestFinished(close);
    return close;
  };
  const heard: unknown[] = [];
  link.on("*", ({ data }: ReceivedEvent) => heard.push(data));
  const isOpen = () => until(() => state() === "open" && link.shown.value().subscription?.lastEventId !== "");
  const state = () => link.shown.value().status.state;
  const reads = () => [...hub.connections()].map(({ channels }) => [...channels].sort().join());
  return { hub, link, asked, open, isOpen, state, heard, reads };
}

/** A list of a channel, as a screen has it. */
function list(link: Link, channel: string) {
  const recent = new Recent();
  onTestFinished(recent.follow({ link, channel, type: undefined }));
  return () => {
    const { events, refusal } = recent.shown.value();
    return refusal ? refusal.message : events.map(({ data }) => data);
  };
}

const noSecrets: Authorize = (_, { channels }): ReturnType<Authorize> => {
  if (channels.some((name) => name.startsWith("secret"))) return { refuse: 403, reason: "not for you" };
  return {};
};

test("a list of another reader, or of another stream, begins anew; of the same one it goes on", async () => {
  const { hub, link, open, isOpen } = hold();
  const news = list(link, "news");
  await hub.publish([1, 2].map((data) => ({ channel: "news", data })));
  const close = open("?rewind=9", () => ({ key: "ann" }));
  await until(() => news().length === 2);
  close();
  open("?rewind=9", () => ({ key: "ann" }));
  await isOpen();
  await hub.publish({ channel: "news", data: 3 });
  await until(() => news().length === 3);
  open("?rewind=9", () => ({ key: "bob" }));
  expect(news()).toEqual([]);
  await until(() => news().length === 3);
  open("?rewind=1", () => ({ key: "bob" }));
  expect(news()).toEqual([]);
  await until(() => news().length === 1);
});

test("the lists of a connection change in one frame, all of them", async () => {
  const { hub, link, open, isOpen, heard } = hold();
  const frames: (() => void)[] = [];
  vi.stubGlobal("requestAnimationFrame", (call: () => void) => frames.push(call));
  onTestFinished(() => void vi.unstubAllGlobals());
  const lists = ["a", "b", "c"].map((channel) => list(link, channel));
  open("");
  await isOpen();
  for (const data of [1, 2]) {
    await hub.publish(["a", "b", "c"].map((channel) => ({ channel, data })));
    await until(() => heard.length === 3 * data);
    expect(frames).toHaveLength(1);
    expect(lists.map((shown) => shown().length)).toEqual(Array(3).fill(data - 1));
    frames.pop()?.();
    expect(lists.map((shown) => shown().length)).toEqual(Array(3).fill(data));
  }
});

test("an event whose handler has the screen closed does not come again", async () => {
  const { hub, link, open, isOpen, heard } = hold();
  const close = open("?channel=a");
  link.on("message", () => queueMicrotask(close));
  await isOpen();
  await hub.publish({ channel: "a", data: 1 });
  await until(() => heard.length === 1);
  await hub.publish({ channel: "a", data: 2 });
  open("?channel=a");
  await until(() => heard.length > 1);
  expect(heard).toEqual([1, 2]);
});

test("headers and functions are those of now, also when there were none at the opening, or are none any more", async () => {
  const { hub, open, isOpen, asked, heard } = hold();
  let options: ConnectionOptions = { headers: undefined, parse: (text) => `parsed ${text}` };
  open("?channel=a", () => options);
  await isOpen();
  for (const token of ["new", undefined]) {
    options = { headers: token ? { Authorization: token } : undefined, parse: "text" };
    const before = asked.length;
    hub.cut();
    await until(() => asked.length > before);
    await isOpen();
  }
  expect(asked.map(({ token }) => token)).toEqual([undefined, "new", undefined]);
  await hub.publish({ channel: "a", data: 1 });
  await until(() => heard.length === 1);
  expect(heard).toEqual(["parsed 1"]);
});

test("a channel that is refused in the first request refuses no other", async () => {
  const { hub, link, open, asked, reads } = hold({ authorize: noSecrets });
  const lists = ["a", "secret", "b"].map((channel) => list(link, channel));
  open("?channel=own");
  await until(() => reads().join() === "a,b,own" && typeof lists[1]?.() === "string");
  await hub.publish(["a", "b"].map((channel, data) => ({ channel, data })));
  await until(() => lists[2]?.().length === 1);
  expect(lists.map((shown) => shown())).toEqual([[0], "not for you", [1]]);
  expect(asked.map(({ query }) => query)).toEqual([
    "?channel=own&channel=a&channel=secret&channel=b",
    "?channel=own",
    '{"add":["a","secret","b"],"drop":[]}',
    '{"add":["a"],"drop":[]}',
    '{"add":["secret"],"drop":[]}',
    '{"add":["b"],"drop":[]}',
  ]);
  expect(link.shown.value().status.error).toBeUndefined();
});

test("on a connection without channels of its own, too; where all are refused it is closed", async () => {
  const { link, open, reads } = hold({ authorize: noSecrets });
  const lists = ["secret/1", "secret/2", "a"].map((channel) => list(link, channel));
  open("");
  await until(() => reads().join() === "a");
  const isRefused = expect.stringContaining("not for you");
  expect(lists.map((shown) => shown())).toEqual([isRefused, isRefused, []]);
  const other = hold({ authorize: noSecrets });
  const refused = ["secret/1", "secret/2"].map((channel) => list(other.link, channel));
  other.open("");
  await until(() => other.state() === "closed");
  expect(refused.map((shown) => shown())).toEqual([isRefused, isRefused]);
  expect([other.asked.length, other.link.shown.value().status.error?.status]).toEqual([3, 403]);
});

test("a channel that was refused is asked for again at the next opening, and its error goes when it is given", async () => {
  let mayRead = false;
  const { hub, link, open, isOpen, reads } = hold({
    authorize: (request, asked) => (mayRead ? {} : noSecrets(request, asked)),
  });
  open("?channel=own");
  await isOpen();
  const shown = list(link, "secret");
  await until(() => shown() === "not for you");
  mayRead = true;
  hub.cut();
  await until(() => reads().join() === "own,secret");
  await until(() => shown().length === 0);
  await hub.publish({ channel: "secret", data: 1 });
  await until(() => shown().length === 1);
});

test("a screen that is put away and shown again is not closed by a channel that was refused before", async () => {
  const { link, open, isOpen, reads, state } = hold({ authorize: noSecrets });
  const close = open("?channel=own");
  await isOpen();
  const shown = list(link, "secret");
  await until(() => shown() === "not for you");
  close();
  open("?channel=own");
  await isOpen();
  expect([state(), reads().join(), shown()]).toEqual(["open", "own", "not for you"]);
});
