/** What middleware in front has prepared for the head of an answer is in the head of a stream, too. */
import http from "node:http";
import http2 from "node:http2";
import type { AddressInfo } from "node:net";
import { describe, expect, test } from "vitest";
import { eventStream } from "../../src/index.js";

/** Waits for the head in the place of `writeHead`, as the package on-headers does for sessions. */
function beforeHead(response: http.ServerResponse, tell: () => void): void {
  const { writeHead } = response;
  let told = false;
  response.writeHead = function (this: http.ServerResponse, ...args: Parameters<typeof writeHead>) {
    if (!told) {
      told = true;
      tell();
    }
    return writeHead.apply(this, args);
  } as typeof writeHead;
}

const route = eventStream(async (stream) => stream.send("it flows"), { headers: { "X-Own": "own" } });

function listener(request: http.IncomingMessage, response: http.ServerResponse): void {
  response.setHeader("X-Before", "before");
  beforeHead(response, () =>
    response.setHeader("Set-Cookie", `seen=${response.getHeader("content-type") !== undefined}`),
  );
  void route(request, response);
}

const listening = async (server: http.Server | http2.Http2Server) => {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return (server.address() as AddressInfo).port;
};

describe("middleware that waits for the head", () => {
  test("is told of a stream's over HTTP/1.1", async () => {
    const server = http.createServer(listener);
    const response = await fetch(`http://127.0.0.1:${await listening(server)}/`);
    expect(response.headers.getSetCookie()).toEqual(["seen=true"]);
    expect([response.headers.get("x-before"), response.headers.get("x-own")]).toEqual(["before", "own"]);
    expect(response.headers.get("content-type")).toBe("text/event-stream; charset=utf-8");
    expect(await response.text()).toContain("data: it flows\n\n");
    server.close();
  });

  test("and over HTTP/2", async () => {
    const server = http2.createServer((request, response) =>
      listener(request as unknown as http.IncomingMessage, response as unknown as http.ServerResponse),
    );
    const session = http2.connect(`http://127.0.0.1:${await listening(server)}`);
    const stream = session.request({ ":path": "/" });
    const headers = await new Promise<http2.IncomingHttpHeaders>((resolve) => stream.once("response", resolve));
    expect(headers["set-cookie"]).toEqual(["seen=true"]);
    expect([headers["x-before"], headers["x-own"]]).toEqual(["before", "own"]);
    let text = "";
    for await (const part of stream) text += part;
    expect(text).toContain("data: it flows\n\n");
    session.close();
    server.close();
  });
});
