// biome-ignore-all lint/correctness/useHookAtTopLevel: a rule of React. Vue calls composables once, in setup.
import { useChannel, useConnection, useEvents } from "millrace/vue";
import { createApp, createSSRApp, defineComponent, h, KeepAlive, type PropType, shallowReactive } from "vue";
import { type Events, note, options, type Props, rendered, type Start } from "./app.js";

type Connection = ReturnType<typeof useConnection<Events>>;

const List = defineComponent({
  props: {
    id: { type: String, required: true },
    connection: { type: Object as PropType<Connection>, required: true },
    channel: { type: String as PropType<string | null>, default: null },
  },
  setup(props) {
    const { events, error } = useChannel(props.connection, () => props.channel);
    return () => {
      rendered(props.id, props.channel, events.value);
      const items = events.value.map((event) => h("li", { key: event.id }, event.text));
      return h("section", { id: `list-${props.id}`, title: error.value?.message }, items);
    };
  },
});

/** As it is written without the Composition API: `setup` for what is shown, `created` for handlers that are methods. */
const Own = defineComponent({
  props: { url: { type: String, required: true } },
  setup: (props) => useChannel<Events, "price">(() => props.url, "*", { type: "price", keep: 1 }),
  data: () => ({ heard: 0 }),
  created() {
    useEvents(this.url, "*", this.hear);
  },
  methods: {
    hear({ text }: { text: string }) {
      this.heard++;
      note("own", text);
    },
  },
  render() {
    return h("output", { id: "own" }, `${this.state} ${this.latest?.data.value ?? "none"}`);
  },
});

const App = defineComponent({
  props: {
    url: { type: String as PropType<string | null>, default: null },
    reader: String,
    channels: { type: Array as PropType<readonly string[]>, default: () => [] },
    watched: { type: String as PropType<string | null>, default: null },
    turn: { type: Number, default: 0 },
    shared: { type: Boolean, default: false },
    own: { type: String as PropType<string | null>, default: null },
  },
  setup(props) {
    const connection = useConnection<Events>(
      () => props.url,
      () => ({ key: props.reader, ...options(props.turn, props.shared) }),
    );
    useEvents(connection, {
      message: ({ data }) => note("message", props.turn, data),
      price: ({ data }) => note("price", props.turn, data.value),
      fault: () => {
        throw new Error("a fault of a handler");
      },
    });
    return () =>
      h("main", [
        h("output", { id: "state" }, connection.state.value),
        h("output", { id: "turn" }, props.turn),
        props.channels.map((channel) => h(List, { key: channel, id: channel, connection, channel })),
        h(List, { id: "watched", connection, channel: props.watched }),
        props.own ? h(Own, { url: props.own }) : undefined,
      ]);
  },
});

export const tree = (props: Props) => createSSRApp(App, { ...props });

/** @public The page calls it. */
export const start: Start = (container, initial, isHydrated) => {
  const props = shallowReactive<Props>({ ...initial });
  const render = () => {
    const { hidden, ...others } = props;
    const shown = () => (hidden ? undefined : h(App, others));
    return isHydrated ? shown() : h(KeepAlive, shown);
  };
  const app = (isHydrated ? createSSRApp : createApp)({ render });
  app.config.errorHandler = (error) => note("caught", (error as Error).message);
  app.mount(container);
  return { set: (now) => void Object.assign(props, now), unmount: () => app.unmount() };
};
