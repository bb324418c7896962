/** What compiles and what must not: `tsc -b` checks this file; at run time it only shows that the code is valid. */
import { describe, expectTypeOf, test } from "vitest";
import type { Connection, createHub, HubEvent, Millrace, PublishEvent, RunEnd } from "../src/index.js";

interface Events {
  price: { symbol: string; price: number };
  joined: { user: string };
  message: string;
}

describe("a hub whose events are named", () => {
  const publish = (hub: Millrace<Events>) => [
    hub.publish({ channel: "stocks", event: "price", data: { symbol: "ACME", price: 1 }, key: "ACME" }),
    hub.publish({ data: "without a name it is a message" }),
    hub.publish([
      { event: "joined", data: { user: "ann" } },
      { event: "message", data: "hello" },
    ]),
    hub.sendToUser("ann", { event: "joined", data: { user: "bob" } }),
    hub.sendToConnection("id", { data: "hello" }),
    hub.sendToRole("editor", { event: "price", data: { symbol: "ACME", price: 1 } }),
    hub.broadcast({ event: "joined", data: { user: "cleo" } }),
    hub.run("answers/1", async (run) => {
      await run.send({ event: "joined", data: { user: "dan" } });
      // @ts-expect-error a run keeps to the map, too
      await run.send({ event: "token", data: "x" });
    }),
    hub.run("answers/2", async function* (run) {
      yield { event: "joined", data: { user: run.channel } };
    }),
    hub.run("answers/3", (run) => run.send({ data: "x" })),
    hub.run("answers/4", () => {}),
  ];

  const mistakes = (hub: Millrace<Events>) => [
    // @ts-expect-error there is no such event
    hub.publish({ event: "prize", data: { symbol: "ACME", price: 1 } }),
    // @ts-expect-error the payload is of another event
    hub.publish({ event: "price", data: { user: "ann" } }),
    // @ts-expect-error a part is missing
    hub.publish({ event: "price", data: { symbol: "ACME" } }),
    // @ts-expect-error of the wrong type
    hub.publish({ event: "price", data: { symbol: "ACME", price: "1" } }),
    // @ts-expect-error no data
    hub.publish({ event: "joined" }),
    // @ts-expect-error a message is a string
    hub.publish({ data: 5 }),
    hub.publish([
      { event: "joined", data: { user: "ann" } },
      // @ts-expect-error one of several
      { event: "joined", data: 1 },
    ]),
    // @ts-expect-error an unknown member
    hub.publish({ event: "joined", data: { user: "ann" }, chanel: "x" }),
    // @ts-expect-error those whom it goes to are named already
    hub.sendToUser("ann", { channel: "news", event: "joined", data: { user: "bob" } }),
    // @ts-expect-error what a run yields keeps to the map, too
    hub.run("answers/1", async function* () {
      yield { event: "token", data: "x" };
    }),
    // @ts-expect-error the payload is of another event
    hub.broadcast({ event: "price", data: "1" }),
    // @ts-expect-error of a generator nothing would run
    hub.whileWatched("stocks", async function* () {
      yield 1;
    }),
    // @ts-expect-error there is no such member
    hub.changeChannels("id", { ad: ["stocks"] }),
  ];

  const read = async (hub: Millrace<Events>) => {
    for await (const { event, data } of hub.subscribe({ channels: ["*"] })) {
      if (event === "price") expectTypeOf(data).toEqualTypeOf<{ symbol: string; price: number }>();
      else if (event === "joined") expectTypeOf(data).toEqualTypeOf<{ user: string }>();
      else if (event === "millrace.end") expectTypeOf(data).toEqualTypeOf<RunEnd>();
      else expectTypeOf(data).toEqualTypeOf<string>();
    }
  };

  test("wrong names and payloads do not compile, and no `any` is among its types", () => {
    expectTypeOf(publish).returns.toBeArray();
    expectTypeOf(mistakes).returns.toBeArray();
    expectTypeOf<Millrace<Events>["disconnect"]>().parameter(0).toEqualTypeOf<Connection | string>();
    expectTypeOf(read).returns.toEqualTypeOf<Promise<void>>();
    expectTypeOf<HubEvent<Events>["data"]>().not.toBeAny();
    expectTypeOf<PublishEvent<Events>["data"]>().not.toBeAny();
  });
});

describe("a hub of which nothing is said", () => {
  test("takes any name and any data, and gives unknown back", () => {
    const same = (hub: ReturnType<typeof createHub>): Millrace => hub;
    expectTypeOf(same).toBeFunction();
    const publish = (hub: Millrace) => hub.publish({ event: "anything", data: { at: "all" } });
    expectTypeOf(publish).returns.toEqualTypeOf<Promise<string>>();
    expectTypeOf<HubEvent["data"]>().toBeUnknown();
    expectTypeOf<HubEvent["event"]>().toBeString();
    // @ts-expect-error an unknown member
    const mistake = (hub: Millrace) => hub.publish({ data: 1, chanel: "x" });
    expectTypeOf(mistake).toBeFunction();
  });
});
