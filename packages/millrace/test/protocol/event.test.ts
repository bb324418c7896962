import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { checkEvent, MillraceError } from "../../src/protocol/index.js";

describe("an event to publish", () => {
  test("is taken with all its members, and with one", () => {
    expect(checkEvent({ data: "x", channel: "a", event: "b", key: "c", retry: 0 })).toEqual({
      data: "x",
      channel: "a",
      event: "b",
      key: "c",
      retry: 0,
      json: false,
    });
    expect(checkEvent({ data: "x" })).toEqual({
      data: "x",
      channel: "general",
      event: undefined,
      key: undefined,
      retry: undefined,
      json: false,
    });
  });

  test("has data of any JSON value, and remembers that it is JSON", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (data) => {
        const { data: written, json } = checkEvent({ data });
        expect(json).toBe(typeof data !== "string");
        expect(json ? JSON.parse(written) : written).toEqual(JSON.parse(JSON.stringify(data)));
      }),
    );
    expect(checkEvent({ data: new Date(0) })).toMatchObject({ data: '"1970-01-01T00:00:00.000Z"', json: true });
  });

  test("may have 256 bytes of event and key", () => {
    const name = "é".repeat(128);
    expect(checkEvent({ data: 1, event: name, key: name })).toMatchObject({ event: name, key: name });
  });

  const circular: { self?: unknown } = {};
  circular.self = circular;

  test.each([
    [undefined, "invalid_event", /an event is an object such as .*: this is undefined/],
    [null, "invalid_event", /this is null/],
    ["text", "invalid_event", /this is the string "text"/],
    [7, "invalid_event", /this is the number 7/],
    [true, "invalid_event", /this is boolean/],
    [[], "invalid_event", /this is an array/],
    [() => 1, "invalid_event", /this is function/],
    [{}, "invalid_event", /data is missing/],
    [{ data: undefined }, "invalid_event", /data is missing/],
    [{ data: () => 1 }, "invalid_event", /data is missing, or is function/],
    [{ data: Symbol("x") }, "invalid_event", /symbol, which JSON cannot carry/],
    [{ data: 1n }, "invalid_event", /data cannot be written as JSON/],
    [{ data: circular }, "invalid_event", /data cannot be written as JSON/],
    [{ data: 1, id: "x" }, "invalid_event", /unknown member "id": an event has data, channel, event, key, retry/],
    [{ data: 1, Data: 2 }, "invalid_event", /unknown member "Data"/],
    [JSON.parse('{"data":1,"__proto__":{}}'), "invalid_event", /unknown member "__proto__"/],
    [{ data: 1, channel: 7 }, "invalid_event", /channel must be a string: it is the number 7/],
    [{ data: 1, channel: null }, "invalid_event", /channel must be a string: it is null/],
    [{ data: 1, channel: "" }, "invalid_channel", /channel "" has 0 bytes/],
    [{ data: 1, channel: "a*" }, "invalid_channel", /channel "a\*"/],
    [{ data: 1, channel: "x".repeat(257) }, "invalid_channel", /channel .* 257 bytes/],
    [{ data: 1, channel: "a\rb" }, "invalid_channel", /channel "a\\rb"/],
    [{ data: 1, event: 7 }, "invalid_event", /event must be a string: it is the number 7/],
    [{ data: 1, event: null }, "invalid_event", /event must be a string: it is null/],
    [{ data: 1, event: "" }, "invalid_event", /event must be valid text of 1 to 256 bytes/],
    [{ data: 1, event: "x".repeat(257) }, "invalid_event", /event must be valid text of 1 to 256 bytes/],
    [{ data: 1, event: "\ud800" }, "invalid_event", /event must be valid text/],
    [{ data: 1, event: "a\nb" }, "invalid_event", /event "a\\nb" holds CR, LF or NUL/],
    [{ data: 1, event: "a\0" }, "invalid_event", /event .* holds CR, LF or NUL/],
    [{ data: 1, event: "millrace.gap" }, "invalid_event", /event "millrace.gap" is reserved/],
    [{ data: 1, event: "millrace." }, "invalid_event", /reserved/],
    [{ data: 1, key: {} }, "invalid_event", /key must be a string: it is an object/],
    [{ data: 1, key: "" }, "invalid_event", /key must be valid text/],
    [{ data: 1, key: "é".repeat(129) }, "invalid_event", /key must be valid text of 1 to 256 bytes/],
    [{ data: 1, key: "a\r" }, "invalid_event", /key "a\\r" holds CR, LF or NUL/],
    [
      { data: 1, retry: "5" },
      "invalid_event",
      /retry must be a whole number of milliseconds, 0 or more: it is the string "5"/,
    ],
    [{ data: 1, retry: -1 }, "invalid_event", /it is the number -1/],
    [{ data: 1, retry: 0.5 }, "invalid_event", /it is the number 0.5/],
    [{ data: 1, retry: Infinity }, "invalid_event", /it is the number Infinity/],
    [{ data: 1, retry: null }, "invalid_event", /it is null/],
  ])("%o is refused: %s", (input, code, message) => {
    expect(() => checkEvent(input)).toThrow(MillraceError);
    expect(() => checkEvent(input)).toThrow(expect.objectContaining({ code }));
    expect(() => checkEvent(input)).toThrow(message);
  });

  test.each(["millrace", "millraces", "Millrace.gap", "x.millrace.gap"])("may be called %s", (event) => {
    expect(checkEvent({ data: 1, event }).event).toBe(event);
  });

  test("any input at all is taken or refused with a code", () => {
    fc.assert(
      fc.property(fc.anything({ withBigInt: true, withNullPrototype: true, withDate: true }), (input) => {
        try {
          checkEvent(input);
        } catch (error) {
          expect(error).toBeInstanceOf(MillraceError);
        }
      }),
      { numRuns: 2000 },
    );
    fc.assert(
      fc.property(fc.anything(), fc.anything(), fc.anything(), (data, event, retry) => {
        try {
          checkEvent({ data, event, retry });
        } catch (error) {
          expect(error).toBeInstanceOf(MillraceError);
        }
      }),
    );
  });
});
