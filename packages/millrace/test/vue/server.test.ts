// biome-ignore-all lint/correctness/useHookAtTopLevel: a rule of React. Vue calls composables once, in setup.
/** On a server nothing is asked, and what is rendered is what a browser renders first. */
import { expect, test, vi } from "vitest";
import { createSSRApp, defineComponent, h, ref } from "vue";
import { renderToString } from "vue/server-renderer";
import * as library from "../../src/vue/index.js";

const { useChannel, useConnection, useEvents } = library;

const News = defineComponent({
  props: { url: { type: String, default: null } },
  setup(props) {
    const connection = useConnection(() => props.url, { key: "ann", headers: () => ({ Authorization: "Bearer x" }) });
    useEvents(connection, { message: () => {}, state: () => {} });
    const { events, latest, error } = useChannel(connection, ref("news"));
    const own = useChannel(() => props.url, "others", { keep: 1 });
    const { state, status, subscription } = connection;
    return () => {
      const figures = [state.value, status.value.attempt, typeof subscription.value, events.value.length];
      return h("p", [...figures, typeof latest.value, typeof error.value, own.state.value].join());
    };
  },
});

test.each([
  ["connecting", { url: "/events?channel=news" }, "connecting,0,undefined,0,undefined,undefined,connecting"],
  ["closed without a URL", {}, "closed,0,undefined,0,undefined,undefined,closed"],
  ["closed with an empty one", { url: "" }, "closed,0,undefined,0,undefined,undefined,closed"],
])("renders %s, and leaves the network, the timers and the console alone", async (_, props, expected) => {
  const touched = ["fetch", "setTimeout", "setInterval", "queueMicrotask"].map((name) =>
    vi.spyOn(globalThis, name as "fetch"),
  );
  const complaints = [vi.spyOn(console, "error"), vi.spyOn(console, "warn")];
  try {
    expect(await renderToString(createSSRApp(News, props))).toBe(`<p>${expected}</p>`);
    for (const spy of [...touched, ...complaints]) expect(spy.mock.calls).toEqual([]);
  } finally {
    vi.restoreAllMocks();
  }
});

test("exports no more than it says", () => {
  expect(Object.keys(library).sort()).toEqual(["useChannel", "useConnection", "useEvents"]);
});
