/** On a server nothing is asked, and what is rendered is what a browser renders first. */
import { createElement as h } from "react";
import { renderToString } from "react-dom/server";
import { expect, test, vi } from "vitest";
import * as library from "../../src/react/index.js";

const { useChannel, useConnection, useEvents } = library;

interface Props {
  url: string | null | false;
}

function News({ url }: Props) {
  const connection = useConnection(url, { key: "ann", headers: () => ({ Authorization: "Bearer x" }) });
  useEvents(connection, { message: () => {}, state: () => {} });
  const { events, latest, error } = useChannel(connection, "news");
  const own = useChannel(url, "others", { keep: 1 });
  const { state, status, subscription } = connection;
  const figures = [state, status.attempt, typeof subscription, events.length, typeof latest, typeof error, own.state];
  return h("p", null, figures.join());
}

test.each<[string, Props, string]>([
  ["connecting", { url: "/events?channel=news" }, "connecting,0,undefined,0,undefined,undefined,connecting"],
  ["closed without a URL", { url: null }, "closed,0,undefined,0,undefined,undefined,closed"],
  ["closed with one on a condition", { url: false }, "closed,0,undefined,0,undefined,undefined,closed"],
  ["closed with an empty one", { url: "" }, "closed,0,undefined,0,undefined,undefined,closed"],
])("renders %s, and leaves the network, the timers and the console alone", async (_, props, expected) => {
  const touched = ["fetch", "setTimeout", "setInterval", "queueMicrotask"].map((name) =>
    vi.spyOn(globalThis, name as "fetch"),
  );
  const complaints = vi.spyOn(console, "error");
  try {
    expect(renderToString(h(News, props))).toBe(`<p>${expected}</p>`);
    for (const spy of [...touched, complaints]) expect(spy.mock.calls).toEqual([]);
  } finally {
    vi.restoreAllMocks();
  }
});

test("exports no more than it says", () => {
  expect(Object.keys(library).sort()).toEqual(["useChannel", "useConnection", "useEvents"]);
});
