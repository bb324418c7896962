import net from "node:net";
import { expect, test, vi } from "vitest";
import { SocketSink } from "../../src/sink/index.js";
import { connectRaw, until } from "../http/support/index.js";

async function opened() {
  const server = net.createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const accepted = new Promise<net.Socket>((resolve) => server.once("connection", resolve));
  const peer = await connectRaw((server.address() as net.AddressInfo).port, { allowHalfOpen: true });
  const socket = await accepted;
  const owner = { onDrain: vi.fn(), onClose: vi.fn() };
  const sink = new SocketSink(socket, Buffer.from("HEAD "));
  sink.open(owner);
  return {
    sink,
    owner,
    peer,
    socket,
    [Symbol.asyncDispose]: async () => {
      peer.socket.destroy();
      socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

test("sends the head with the first bytes, in one write", async () => {
  await using made = await opened();
  const write = vi.spyOn(made.socket, "write");
  expect(made.sink.write(Buffer.from("one"))).toBe(true);
  expect(made.sink.write(Buffer.from(" two"))).toBe(true);
  await made.peer.hears("HEAD one two");
  expect(write).toHaveBeenCalledTimes(2);
});

test("sends the head when it ends before any bytes", async () => {
  await using made = await opened();
  made.sink.end(Buffer.from("bye"));
  await made.peer.hears("HEAD bye");
});

test("a large write that the kernel takes whole does not count as a slow peer", async () => {
  await using made = await opened();
  expect(made.sink.write(Buffer.alloc(100_000))).toBe(true);
  expect(made.owner.onDrain).not.toHaveBeenCalled();
});

test("a peer that does not read fills it, and its owner is told when it has emptied", async () => {
  await using made = await opened();
  made.peer.socket.pause();
  let written = 0;
  while (made.sink.write(Buffer.alloc(64 * 1024))) expect(++written).toBeLessThan(1000);
  expect(made.owner.onDrain).not.toHaveBeenCalled();
  made.peer.socket.resume();
  await until("it has emptied", () => made.owner.onDrain.mock.calls.length > 0);
  expect(made.socket.writableLength).toBe(0);
});

test("a peer that half-closes has left", async () => {
  await using made = await opened();
  made.sink.write(Buffer.from("x"));
  made.peer.socket.end();
  await until("its owner is told", () => made.owner.onClose.mock.calls.length === 1);
});

test("a peer that resets has left, and that is no error", async () => {
  await using made = await opened();
  made.peer.socket.resetAndDestroy();
  await until("its owner is told", () => made.owner.onClose.mock.calls.length === 1);
  made.sink.write(Buffer.from("to nobody"));
  made.sink.end(Buffer.from("bye"));
});

test("a peer that had left before is told of as one that leaves", async () => {
  await using made = await opened();
  made.socket.destroy();
  await new Promise((resolve) => made.socket.once("close", resolve));
  const owner = { onDrain: vi.fn(), onClose: vi.fn() };
  new SocketSink(made.socket, Buffer.alloc(0)).open(owner);
  await Promise.resolve();
  expect(owner.onClose).toHaveBeenCalledTimes(1);
});
