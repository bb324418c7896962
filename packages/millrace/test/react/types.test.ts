/** What compiles and what must not: `tsc -b` checks this file; at run time it only shows that the code is valid. */
import { expectTypeOf, test } from "vitest";
import type { ConnectionError, ConnectionState, Subscription } from "../../src/client/index.js";
import { type Connection, useChannel, useConnection, useEvents } from "../../src/react/index.js";

interface Events {
  price: { symbol: string; value: number };
  halt: { symbol: string };
  message: string;
}

test("a connection knows the data of its events", () => {
  const useTyped = () => {
    const connection = useConnection<Events>("/events", { key: "ann", headers: () => ({ a: "b" }), channels: ["a"] });
    expectTypeOf(connection).toEqualTypeOf<Connection<Events>>();
    expectTypeOf(connection.state).toEqualTypeOf<ConnectionState>();
    expectTypeOf(connection.error).toEqualTypeOf<ConnectionError | undefined>();
    expectTypeOf(connection.subscription).toEqualTypeOf<Subscription<Events> | undefined>();

    useEvents(connection, "price", ({ data }) => expectTypeOf(data).toEqualTypeOf<Events["price"]>());
    useEvents(connection, "message", ({ data }) => expectTypeOf(data).toEqualTypeOf<string>());
    useEvents(connection, "state", ({ waitMs }) => expectTypeOf(waitMs).toEqualTypeOf<number | undefined>());
    useEvents(connection, "unheard", ({ data }) => expectTypeOf(data).toEqualTypeOf<unknown>());
    useEvents(connection, "*", (event) => {
      if (event.type === "halt") expectTypeOf(event.data).toEqualTypeOf<Events["halt"]>();
    });
    useEvents(connection, {
      price: ({ data, channel }) => {
        expectTypeOf(data).toEqualTypeOf<Events["price"]>();
        expectTypeOf(channel).toEqualTypeOf<string | undefined>();
      },
      gap: ({ may }) => expectTypeOf(may).toEqualTypeOf<boolean>(),
      halt: Math.random() > 0.5 ? ({ data }) => expectTypeOf(data).toEqualTypeOf<Events["halt"]>() : undefined,
    });
    // @ts-expect-error the map says that it is a number
    useEvents(connection, "price", ({ data: { value } }): string => value.toUpperCase());
    // @ts-expect-error a handler is a function
    useEvents(connection, { price: 1 });

    const { events, latest } = useChannel(connection, "stocks");
    for (const event of events) if (event.type === "price") expectTypeOf(event.data.value).toEqualTypeOf<number>();
    expectTypeOf(latest).toEqualTypeOf<(typeof events)[number] | undefined>();
    const prices = useChannel(connection, "stocks", { type: "price", keep: 10 });
    expectTypeOf(prices.latest?.data).toEqualTypeOf<Events["price"] | undefined>();
    // @ts-expect-error a channel is a text
    useChannel(connection, 1);
    // @ts-expect-error a misspelt option would be none
    useChannel(connection, "stocks", { kept: 10 });
    // @ts-expect-error an option of connect, misspelt
    useConnection("/events", { chanels: ["a"] });
  };
  expectTypeOf(useTyped).toBeFunction();
});

test("a URL has a connection of its own, and the map can be given with it", () => {
  const useTyped = () => {
    const connection = useEvents<Events>("/events", {
      price: ({ data }) => expectTypeOf(data).toEqualTypeOf<Events["price"]>(),
      state: ({ state }) => expectTypeOf(state).toEqualTypeOf<ConnectionState>(),
    });
    expectTypeOf(connection).toEqualTypeOf<Connection<Events>>();
    useEvents(new URL("http://x/events"), "price", ({ data, id }) => {
      expectTypeOf(data).toEqualTypeOf<unknown>();
      expectTypeOf(id).toEqualTypeOf<string>();
    });
    useEvents(null, { price: ({ data }) => expectTypeOf(data).toEqualTypeOf<unknown>() });
    const isSignedIn = Math.random() > 0.5;
    useConnection(isSignedIn && "/events");
    useChannel(isSignedIn && "/events", isSignedIn && "a");
    const useState = <E extends object>(any: Connection<E>) => useChannel(any, "a").state;
    expectTypeOf(useState(connection)).toEqualTypeOf<ConnectionState>();
    expectTypeOf(useChannel<Events, "price">("/events", "a", { type: "price" }).latest?.data).toEqualTypeOf<
      Events["price"] | undefined
    >();
    expectTypeOf(useChannel<Events>(undefined, null).latest?.text).toEqualTypeOf<string | undefined>();
    expectTypeOf(useChannel("/events", "a", { type: "b" }).latest?.data).toEqualTypeOf<unknown>();
  };
  expectTypeOf(useTyped).toBeFunction();
});
