import http from "node:http";
import { describe, expect, test } from "vitest";
import {
  type AccessRequest,
  type Authorize,
  createTickets,
  eventStream,
  type Identity,
  type MillraceError,
  type TicketOptions,
  type Tickets,
} from "../../src/index.js";
import { callHttp1, type Form, forms, json, listen, open, start, until } from "./support/index.js";

const nobody: Authorize = () => ({ refuse: 401, reason: "the application's own rule" });

async function serve(
  form: Form,
  { options, authorize = nobody }: { options?: TicketOptions; authorize?: Authorize } = {},
) {
  const tickets = createTickets(options);
  const answers: unknown[] = [];
  const served = await start(form, { authorize: tickets.or(authorize), onAnswer: (answer) => answers.push(answer) });
  return { ...served, tickets, answers };
}

type Served = Awaited<ReturnType<typeof serve>>;

async function statusOf(hub: Served, target: string, call = {}) {
  const answer = await hub.call(target, call);
  if (answer.status === 200) answer.leave();
  return answer.status;
}

describe.each(forms)("a ticket over $name", (form) => {
  test("lets in whom it was issued to, once", async () => {
    await using hub = await serve(form);
    const expiresAtMs = Date.now() + 60_000;
    const ticket = hub.tickets.issue({ user: "ann", roles: ["editor"], expiresAtMs });
    expect(ticket).toMatch(/^[\w-]{43}$/);
    const { events } = await open(hub, `/events?channel=news&ticket=${ticket}`);
    expect([...hub.hub.connections()].map(({ identity }) => identity)).toEqual([
      { user: "ann", roles: ["editor"], expiresAtMs },
    ]);
    await hub.hub.publish({ channel: "@role/editor", data: "for editors" });
    expect(await events.data(1)).toEqual(["for editors"]);
    const again = await hub.call(`/events?channel=news&ticket=${ticket}`);
    expect(again.status).toBe(401);
    const text = await again.text();
    expect(JSON.parse(text)).toMatchObject({ code: "unauthorized", detail: expect.stringMatching(/used.*new one/) });
    expect(text).not.toContain(ticket);
    expect(JSON.stringify(hub.answers)).not.toContain(ticket);
    expect(hub.errors).toEqual([]);
  });

  test("of two requests at once one wins", async () => {
    await using hub = await serve(form);
    const ticket = hub.tickets.issue({ user: "ann" });
    const target = `/events?ticket=${ticket}`;
    const answers = await Promise.all([hub.call(target), hub.call(target), hub.call(target)]);
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 401, 401]);
    expect(hub.hub.stats().opened).toBe(1);
    for (const { leave } of answers) leave();
  });

  test("is kept when its request is refused for something else", async () => {
    await using hub = await serve(form);
    const ticket = hub.tickets.issue({ user: "ann" }, { channels: ["news", "chat/*"] });
    for (const [query, status] of [
      ["channel=news*", 400],
      ["channel=@user/bob", 400],
      ["channel=news&rewind=x", 400],
      ["channel=news&mode=x", 400],
      ["channel=news&what=x", 400],
      ["channel=news&lastEventId=millrace.closed", 204],
      ["channel=stocks", 403],
      ["channel=news&channel=stocks", 403],
    ] as const) {
      expect(await statusOf(hub, `/events?${query}&ticket=${ticket}`), query).toBe(status);
    }
    expect(await statusOf(hub, `/events?channel=news&ticket=${ticket}&ticket=${ticket}`)).toBe(400);
    expect(await statusOf(hub, `/events?channel=news&ticket=${ticket}`)).toBe(200);
    expect(await statusOf(hub, `/events?channel=news&ticket=${ticket}`)).toBe(401);
  });

  test("allows the channels that it names, and no others", async () => {
    await using hub = await serve(form);
    const status = (channels: string[], query: string) =>
      statusOf(hub, `/events?${query}&ticket=${hub.tickets.issue({ user: "ann" }, { channels })}`);
    const mine = ["news", "chat/*"];
    expect(await status(mine, "channel=news")).toBe(200);
    expect(await status(mine, "channel=chat/a&channel=chat/b/*&channel=chat/*")).toBe(200);
    expect(await status(["*"], "channel=a&channel=b/*&channel=*")).toBe(200);
    expect(await status(["general"], "")).toBe(200);
    expect(await status(mine, "")).toBe(403);
    expect(await status(mine, "channel=chat")).toBe(403);
    expect(await status(mine, "channel=chats/a")).toBe(403);
    expect(await status(mine, "channel=news/*")).toBe(403);
    expect(await status(mine, "channel=*")).toBe(403);
    expect(await status(mine, "channel=NEWS")).toBe(403);
    expect(await status([], "channel=news")).toBe(403);
  });

  test("goes with a long selection in a body, and with long-polling", async () => {
    await using hub = await serve(form);
    const ticket = () => hub.tickets.issue({ user: "ann" }, { channels: ["a", "b"] });
    expect(await statusOf(hub, `/events?ticket=${ticket()}`, json({ channels: ["a", "b"] }))).toBe(200);
    expect(await statusOf(hub, `/events?ticket=${ticket()}`, json({ channels: ["a", "c"] }))).toBe(403);
    expect(await statusOf(hub, `/events?ticket=${ticket()}&what=1`, json({ channels: ["a"] }))).toBe(400);
    expect(await statusOf(hub, `/events?channel=a&mode=poll&ticket=${ticket()}`)).toBe(200);
  });

  test("is good for nothing but subscribing", async () => {
    await using hub = await serve(form);
    const ticket = hub.tickets.issue({ user: "ann" });
    expect(await statusOf(hub, `/publish?ticket=${ticket}`, json({ data: 1 }))).toBe(400);
    for (const call of [{}, { method: "DELETE" }]) {
      const answer = await hub.call(`/connections${call.method ? "/x" : ""}?ticket=${ticket}`, call);
      expect([400, 401]).toContain(answer.status);
      await answer.text();
    }
    expect(await statusOf(hub, `/events?ticket=${ticket}`)).toBe(200);
  });

  test("that nobody issued is refused, whatever other credentials there are", async () => {
    await using hub = await serve(form, { authorize: () => ({ user: "bob" }) });
    for (const wrong of ["", "x", "%00", "x".repeat(4000), hub.tickets.issue({}).slice(1)]) {
      expect(await statusOf(hub, `/events?ticket=${wrong}`)).toBe(401);
    }
    expect(await statusOf(hub, "/events?ticket=%ff")).toBe(400);
    expect(await statusOf(hub, "/events")).toBe(200);
    expect(hub.errors).toEqual([]);
  });

  test("without one it is the application's rule that counts", async () => {
    await using hub = await serve(form);
    const answer = await hub.call("/events");
    expect(answer.status).toBe(401);
    expect((await answer.problem()).detail).toBe("the application's own rule");
  });

  test("of an identity whose own time is over is 401", async () => {
    await using hub = await serve(form);
    const ticket = hub.tickets.issue({ user: "ann", expiresAtMs: Date.now() - 1 });
    expect(await statusOf(hub, `/events?ticket=${ticket}`)).toBe(401);
  });
});

/** What a native EventSource does: the same address again, and the last id that it has seen. 401 ends it for good. */
test("a page with a native EventSource goes on behind a cut, with a new ticket and its last id", async () => {
  const [http1] = forms as [Form];
  await using hub = await serve(http1);
  const ticket = () => hub.tickets.issue({ user: "ann" }, { channels: ["news"] });
  const address = `/events?channel=news&ticket=${ticket()}&lastEventId=${hub.hub.position()}`;
  await hub.hub.publish({ channel: "news", data: "0" }); // after the page has loaded, before it is connected
  const first = await open(hub, address);
  expect(await first.events.data(1)).toEqual(["0"]);
  const { lastEventId } = first.events;
  first.leave();
  await until("the cut is noticed", () => hub.hub.stats().connections === 0);
  await hub.hub.publish({ channel: "news", data: "1" });
  expect(await statusOf(hub, address, { headers: { "last-event-id": lastEventId } })).toBe(401);
  const second = await open(hub, `/events?channel=news&ticket=${ticket()}&lastEventId=${lastEventId}`);
  await hub.hub.publish({ channel: "news", data: "2" });
  expect(await second.events.data(2)).toEqual(["1", "2"]);
});

test("a ticket opens a single stream, unless it is for channels", async () => {
  const tickets = createTickets();
  const users: unknown[] = [];
  const route = eventStream(
    async (stream) => {
      users.push(stream.identity);
    },
    { authorize: tickets.or(nobody) },
  );
  const server = http.createServer((request, response) => void route(request, response));
  const port = await listen(server);
  try {
    const status = async (ticket: string) => (await callHttp1(port, `/ticks?ticket=${ticket}`)).status;
    const ticket = tickets.issue({ user: "ann" });
    expect(await status(ticket)).toBe(200);
    expect(await status(ticket)).toBe(401);
    expect(await status(tickets.issue({ user: "ann" }, { channels: ["news"] }))).toBe(403);
    expect(users).toEqual([{ user: "ann" }]);
  } finally {
    server.closeAllConnections();
    server.close();
  }
});

describe("tickets", () => {
  const request = (ticket: string): AccessRequest => ({
    ...{ method: "GET", path: "/events", query: `ticket=${ticket}`, remoteAddress: undefined, raw: undefined },
    header: () => undefined,
  });
  const redeem = (tickets: Tickets, ticket: string) =>
    tickets.or(nobody)(request(ticket), { action: "subscribe", channels: ["general"] });

  test("are all different, and are gone when their time is over", async () => {
    const tickets = createTickets({ lifetimeMs: 500 });
    const many = Array.from({ length: 1000 }, (_, at) => tickets.issue({ user: `${at}` }));
    expect(redeem(tickets, many.at(-1) as string)).toEqual({ user: "999" });
    const issuedMs = performance.now();
    expect(new Set(many).size).toBe(1000);
    await until("their time is over", () => performance.now() > issuedMs + 501);
    for (const ticket of many) expect(redeem(tickets, ticket)).toMatchObject({ refuse: 401 });
  });

  test("are bounded: the oldest go first", () => {
    const tickets = createTickets({ most: 3 });
    const issued = Array.from({ length: 5 }, (_, at) => tickets.issue({ user: `${at}` }));
    const users = issued.map((ticket) => redeem(tickets, ticket));
    expect(users).toEqual([
      expect.objectContaining({ refuse: 401 }),
      expect.objectContaining({ refuse: 401 }),
      { user: "2" },
      { user: "3" },
      { user: "4" },
    ]);
  });

  test("keep the identity that they were issued to", () => {
    const tickets = createTickets();
    const identity = { user: "ann" };
    const ticket = tickets.issue(identity);
    identity.user = "root";
    expect(redeem(tickets, ticket)).toEqual({ user: "ann" });
  });

  test.each<[string, () => unknown, string]>([
    ["a life of more than 30 s", () => createTickets({ lifetimeMs: 30_001 }), "invalid_option"],
    ["a life that is text", () => createTickets({ lifetimeMs: "5" as unknown as number }), "invalid_option"],
    ["no room", () => createTickets({ most: 0 }), "invalid_option"],
    ["nobody", () => createTickets().issue(undefined as unknown as Identity), "invalid_option"],
    ["a user that is a number", () => createTickets().issue({ user: 42 } as never), "invalid_option"],
    ["a role that is a number", () => createTickets().issue({ roles: [1] } as never), "invalid_option"],
    ["a time that is NaN", () => createTickets().issue({ expiresAtMs: Number.NaN }), "invalid_option"],
    ["a refusal", () => createTickets().issue({ refuse: 401 } as never), "invalid_option"],
    ["channels as one text", () => createTickets().issue({}, { channels: "news" as never }), "invalid_option"],
    ["an option that is not known", () => createTickets().issue({}, { channel: ["news"] } as never), "invalid_option"],
    ["a channel that is none", () => createTickets().issue({}, { channels: ["a*"] }), "invalid_channel"],
    ["a personal channel", () => createTickets().issue({}, { channels: ["@user/bob"] }), "invalid_channel"],
  ])("refuse %s", (_what, make, code) => {
    try {
      make();
      expect.unreachable();
    } catch (error) {
      expect((error as MillraceError).code).toBe(code);
    }
  });
});
