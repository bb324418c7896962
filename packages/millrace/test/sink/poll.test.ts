import { expect, test, vi } from "vitest";
import { PollSink } from "../../src/sink/index.js";

function opened() {
  const answers: { body: string; farewell: boolean }[] = [];
  const sink = new PollSink((body, farewell) => answers.push({ body: Buffer.concat(body).toString(), farewell }));
  const owner = { onDrain: vi.fn(), onClose: vi.fn() };
  sink.open(owner);
  return { sink, owner, answers };
}

test("is full after its first write, and answers once its writer has moved on", async () => {
  const { sink, owner, answers } = opened();
  expect(sink.write(Buffer.from("a"))).toBe(false);
  expect(answers).toEqual([]);
  await Promise.resolve();
  expect(answers).toEqual([{ body: "a", farewell: false }]);
  expect(owner.onClose).toHaveBeenCalledTimes(1);
});

test("a farewell is the last block", async () => {
  const { sink, answers } = opened();
  sink.end(Buffer.from("bye"));
  sink.end();
  sink.destroy();
  await Promise.resolve();
  expect(answers).toEqual([{ body: "bye", farewell: true }]);
});

test("ends with nothing to say", () => {
  const { sink, owner, answers } = opened();
  sink.end();
  expect(answers).toEqual([{ body: "", farewell: false }]);
  expect(owner.onClose).toHaveBeenCalledTimes(1);
});
