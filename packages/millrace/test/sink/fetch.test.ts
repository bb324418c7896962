import { expect, test, vi } from "vitest";
import { FetchSink } from "../../src/sink/index.js";

function opened() {
  const owner = { onDrain: vi.fn(), onClose: vi.fn() };
  const sink = new FetchSink();
  sink.open(owner);
  return { sink, owner, reader: sink.body.getReader() };
}

const kibibytes = (count: number) => new Uint8Array(count * 1024);

test("takes bytes until its buffer is full, and tells when it has emptied", async () => {
  const { sink, owner, reader } = opened();
  expect(sink.write(kibibytes(40))).toBe(true);
  expect(sink.write(kibibytes(40))).toBe(false);
  expect(owner.onDrain).not.toHaveBeenCalled();
  await reader.read();
  expect(owner.onDrain).toHaveBeenCalledTimes(1);
  expect(sink.write(kibibytes(10))).toBe(true);
});

test("a reader that waits gets bytes at once, however many", async () => {
  const { sink, owner, reader } = opened();
  const reading = reader.read();
  expect(sink.write(kibibytes(1000))).toBe(true);
  expect((await reading).value?.length).toBe(1000 * 1024);
  expect(owner.onDrain).not.toHaveBeenCalled();
});

test("hands on the very bytes, and does not detach them", async () => {
  const { sink, reader } = opened();
  const bytes = Buffer.from("shared");
  sink.write(bytes);
  expect((await reader.read()).value).toBe(bytes);
  expect(bytes.toString()).toBe("shared");
});

test("ends behind what was written, and tells its owner once", async () => {
  const { sink, owner, reader } = opened();
  sink.write(Buffer.from("a"));
  sink.end(Buffer.from("b"));
  sink.end(Buffer.from("c"));
  sink.destroy();
  expect(owner.onClose).toHaveBeenCalledTimes(1);
  expect(Buffer.from((await reader.read()).value ?? []).toString()).toBe("a");
  expect(Buffer.from((await reader.read()).value ?? []).toString()).toBe("b");
  expect((await reader.read()).done).toBe(true);
});

test("a cancelled body is a peer that left: later writes are nothing", async () => {
  const { sink, owner, reader } = opened();
  await reader.cancel();
  expect(owner.onClose).toHaveBeenCalledTimes(1);
  expect(sink.write(Buffer.from("x"))).toBe(false);
  sink.end();
  expect(owner.onClose).toHaveBeenCalledTimes(1);
});

test("destroyed, its reader is told that the stream did not end well", async () => {
  const { sink, owner, reader } = opened();
  sink.destroy();
  await expect(reader.read()).rejects.toThrow("closed by the server");
  expect(owner.onClose).toHaveBeenCalledTimes(1);
});
