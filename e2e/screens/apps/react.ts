import { type Connection, useChannel, useConnection, useEvents } from "millrace/react";
import { Activity, Component, createElement as h, type ReactNode, StrictMode } from "react";
import { createRoot, hydrateRoot } from "react-dom/client";
import { type Container, type Events, note, options, type Props, rendered, type Start } from "./app.js";

function App({ url, reader, channels = [], watched = null, turn = 0, own = null, shared = false }: Props) {
  const connection = useConnection<Events>(url, { key: reader, ...options(turn, shared) });
  useEvents(connection, {
    message: ({ data }) => note("message", turn, data),
    price: ({ data }) => note("price", turn, data.value),
    fault: () => {
      throw new Error("a fault of a handler");
    },
  });
  return h(
    "main",
    null,
    h("output", { id: "state" }, connection.state),
    h("output", { id: "turn" }, turn),
    channels.map((channel) => h(List, { key: channel, id: channel, connection, channel })),
    h(List, { id: "watched", connection, channel: watched }),
    own && h(Own, { url: own }),
  );
}

interface ListProps {
  readonly id: string;
  readonly connection: Connection<Events>;
  readonly channel: string | null;
}

function List({ id, connection, channel }: ListProps) {
  const { events, error } = useChannel(connection, channel);
  rendered(id, channel, events);
  return h(
    "section",
    { id: `list-${id}`, title: error?.message },
    events.map((event) => h("li", { key: event.id }, event.text)),
  );
}

function Own({ url }: { url: string }) {
  const { state } = useEvents(url, "*", ({ text }) => note("own", text));
  const { latest } = useChannel<Events, "price">(url, "*", { type: "price", keep: 1 });
  return h("output", { id: "own" }, `${state} ${latest?.data.value ?? "none"}`);
}

class Boundary extends Component<{ children: ReactNode }, { error?: Error }> {
  override state: { error?: Error } = {};
  static getDerivedStateFromError = (error: Error) => {
    note("caught", error.message);
    return { error };
  };
  override render = () => (this.state.error ? null : this.props.children);
}

export function tree({ hidden = false, ...props }: Props) {
  const away = { mode: hidden ? "hidden" : "visible", children: h(App, props) } as const;
  return h(StrictMode, null, h(Boundary, null, h(Activity, away)));
}

/** @public The page calls it. */
export const start: Start = (container: Container, props, isHydrated) => {
  const root = isHydrated ? hydrateRoot(container as Element, tree(props)) : createRoot(container as Element);
  const set = (now: Props) => root.render(tree(now));
  if (!isHydrated) set(props);
  return { set, unmount: () => root.unmount() };
};
