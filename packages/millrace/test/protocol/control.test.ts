import { expect, test } from "vitest";
import {
  closeBlock,
  closedId,
  cursorBlock,
  farewellBlock,
  gapBlock,
  heartbeatBlock,
  keepaliveBlock,
  openBlock,
} from "../../src/protocol/index.js";

test("the hub's own blocks are these", () => {
  expect(openBlock(2500, "a-1")).toBe("id: a-1\nretry: 2500\n\n");
  expect(cursorBlock("a-1")).toBe("id: a-1\n\n");
  expect(keepaliveBlock(1700, "a-1")).toBe(": keepalive 1700\nid: a-1\n\n");
  expect(heartbeatBlock(1700, "a-1")).toBe(
    'id: a-1\nevent: heartbeat\ndata: {"type":"heartbeat","timestamp":1700}\n\n',
  );
  expect(gapBlock("a-1", { reason: "dropped", may: true, channels: ["n\n"] })).toBe(
    'id: a-1\nevent: millrace.gap\ndata: {"reason":"dropped","may":true,"channels":["n\\n"]}\n\n',
  );
  expect(closeBlock("a-1", "shutdown", 900)).toBe(
    'id: a-1\nevent: millrace.close\nretry: 900\ndata: {"reason":"shutdown","reconnect":true}\n\n',
  );
  expect(farewellBlock("kicked")).toBe(
    'id: millrace.closed\nevent: millrace.close\ndata: {"reason":"kicked","reconnect":false}\n\n',
  );
  expect(closedId).toBe("millrace.closed");
});
