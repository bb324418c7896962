// biome-ignore-all lint/correctness/useHookAtTopLevel: a rule of React. Vue calls composables once, in setup.
/** What compiles and what must not: `tsc -b` checks this file; at run time it only shows that the code is valid. */
import { expectTypeOf, test } from "vitest";
import { computed, ref } from "vue";
import type { ConnectionState, Subscription } from "../../src/client/index.js";
import { type Connection, useChannel, useConnection, useEvents } from "../../src/vue/index.js";

interface Events {
  price: { symbol: string; value: number };
  halt: { symbol: string };
}

test("a connection knows the data of its events", () => {
  const typed = () => {
    const connection = useConnection<Events>(ref("/events"), { key: 1, headers: () => ({ a: "b" }) });
    expectTypeOf(connection).toEqualTypeOf<Connection<Events>>();
    expectTypeOf(connection.state.value).toEqualTypeOf<ConnectionState>();
    expectTypeOf(connection.subscription.value).toEqualTypeOf<Subscription<Events> | undefined>();

    useEvents(connection, "price", ({ data }) => expectTypeOf(data).toEqualTypeOf<Events["price"]>());
    useEvents(connection, {
      halt: ({ data }) => expectTypeOf(data).toEqualTypeOf<Events["halt"]>(),
      error: ({ error }) => expectTypeOf(error).toEqualTypeOf<Error>(),
    });
    // @ts-expect-error the map says that it is a number
    useEvents(connection, "price", ({ data: { value } }): string => value.toUpperCase());

    const { events } = useChannel(connection, () => "stocks");
    for (const event of events.value) {
      if (event.type === "price") expectTypeOf(event.data.value).toEqualTypeOf<number>();
    }
    const prices = useChannel(connection, ref<string | null>(null), { type: "price", keep: 10 });
    expectTypeOf(prices.latest.value?.data).toEqualTypeOf<Events["price"] | undefined>();
    // @ts-expect-error a misspelt option would be none
    useChannel(connection, "stocks", { kept: 10 });
  };
  expectTypeOf(typed).toBeFunction();
});

test("a URL has a connection of its own: as it is, as a ref, or computed", () => {
  const typed = () => {
    useEvents<Events>("/events", { price: ({ data }) => expectTypeOf(data).toEqualTypeOf<Events["price"]>() });
    useEvents(
      () => null,
      "price",
      ({ data }) => expectTypeOf(data).toEqualTypeOf<unknown>(),
    );
    useConnection(
      computed(() => new URL("http://x/")),
      () => ({ key: "ann" }),
    );
    const isSignedIn = ref(false);
    useConnection(() => isSignedIn.value && "/events");
    useChannel("/events", () => isSignedIn.value && "a");
    const stateOf = <E extends object>(any: Connection<E>) => useChannel(any, "a").state.value;
    expectTypeOf(stateOf(useConnection<Events>("/events"))).toEqualTypeOf<ConnectionState>();
    expectTypeOf(useChannel(ref<string>(), "a", { type: "b" }).latest.value?.data).toEqualTypeOf<unknown>();
  };
  expectTypeOf(typed).toBeFunction();
});
