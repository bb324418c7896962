import { describe, expect, it } from "vitest";
import {
  nameOf,
  parseHeader,
  parseStreamUrl,
  publishTarget,
  streamTarget,
  type Wanted,
} from "../../../src/cli/bench/target.js";
import { UsageError } from "../../../src/cli/option.js";

const wanted = (url: string, more: Partial<Wanted> = {}): Wanted => ({
  url: parseStreamUrl(url),
  channels: [],
  headers: [],
  apiKey: undefined,
  ...more,
});
const firstLine = (parts: Wanted) => streamTarget(parts).request.split("\r\n")[0];

describe("what is asked for", () => {
  it.each([
    ["http://127.0.0.1:4000", [], "GET /events HTTP/1.1"],
    ["http://127.0.0.1:4000/", ["a b", "c/*"], "GET /events?channel=a+b&channel=c%2F* HTTP/1.1"],
    ["http://127.0.0.1:4000/?rewind=all", [], "GET /events?rewind=all HTTP/1.1"],
    ["https://example.com/my/stream?x=1", ["a"], "GET /my/stream?x=1&channel=a HTTP/1.1"],
  ])("%s with channels %j", (url, channels, expected) => {
    expect(firstLine(wanted(url, { channels }))).toBe(expected);
  });

  it("a server over TLS, one with an IPv6 address", () => {
    expect(streamTarget(wanted("https://example.com/a"))).toMatchObject({
      secure: true,
      host: "example.com",
      port: 443,
    });
    const six = streamTarget(wanted("http://[::1]:81/a"));
    expect(six).toMatchObject({ secure: false, host: "::1", port: 81 });
    expect(six.request).toContain("\r\nhost: [::1]:81\r\n");
  });

  it("with the key and headers of one's own, which replace ours", () => {
    const { request } = streamTarget(
      wanted("http://a", { apiKey: "secret", headers: [parseHeader("Cookie: a=b"), parseHeader("ACCEPT: */*")] }),
    );
    expect(request).toContain("\r\nauthorization: Bearer secret\r\n");
    expect(request).toContain("\r\ncookie: a=b\r\n");
    expect(request).toContain("\r\naccept: */*\r\n");
    expect(request).not.toContain("text/event-stream");
    expect(request.endsWith("\r\n\r\n")).toBe(true);
  });

  it.each(["Cookie", ": x", "a b: c", "a: b\r\nc: d", "a: \u0001", "a: 株"])("%j is no header", (text) => {
    expect(() => parseHeader(text)).toThrow(/a header such as/);
  });

  it.each(["localhost:4000", "ftp://a/", "http://me:secret@a/", "http://a/#b", ""])("%j is no address", (text) => {
    expect(() => parseStreamUrl(text)).toThrow(/an address such as/);
  });

  it("a report names it without what may be secret", () => {
    const query = "channel=a/b&ticket=secret&access_token=secret&%61pi-key=secret&%Ftoken=secret&rewind=all";
    expect(nameOf(wanted(`http://127.0.0.1:4000?${query}`))).toBe(
      "http://127.0.0.1:4000/events?channel=a/b&ticket=***&access_token=***&%61pi-key=***&%Ftoken=***&rewind=all",
    );
  });
});

describe("where it publishes", () => {
  it("on the hub whose streams it reads, on the first channel", () => {
    expect(publishTarget(wanted("http://a:1"))).toEqual({ address: "http://a:1/publish", channel: "general" });
    expect(publishTarget(wanted("http://a:1/hub/events?channel=b", { channels: ["c"] }))).toEqual({
      address: "http://a:1/hub/publish",
      channel: "b",
    });
  });

  it.each([
    [wanted("http://a/stream"), /needs a hub of Millrace/],
    [wanted("http://a", { channels: ["b/*"] }), /one channel, not "b\/\*"/],
  ])("nowhere else", (parts, message) => {
    expect(() => publishTarget(parts)).toThrow(UsageError);
    expect(() => publishTarget(parts)).toThrow(message);
  });
});
