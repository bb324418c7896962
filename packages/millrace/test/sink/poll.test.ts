import { expect, test, vi } from "vitest";
import { PollSink } from "../../src/sink/index.js";

function opened() {
  const answers: { body: string; farewell: boolean }[] = [];
  const sink = new PollSink();
  sink.answer.then(({ body, farewell }) => answers.push({ body: Buffer.concat(body).toString(), farewell }));
  const owner = { onDrain: vi.fn(), onClose: vi.fn() };
  sink.open(owner);
  const settled = () => new Promise((resolve) => setImmediate(resolve));
  return { sink, owner, answers, settled };
}

test("is full after its first write, and answers once its writer has moved on", async () => {
  const { sink, owner, answers, settled } = opened();
  expect(sink.write(Buffer.from("a"))).toBe(false);
  expect(owner.onClose).not.toHaveBeenCalled();
  await settled();
  expect(answers).toEqual([{ body: "a", farewell: false }]);
  expect(owner.onClose).toHaveBeenCalledTimes(1);
});

test("a farewell is the last block", async () => {
  const { sink, owner, answers, settled } = opened();
  sink.write(Buffer.from("a"));
  sink.end(Buffer.from("bye"));
  sink.end();
  sink.destroy();
  await settled();
  expect(answers).toEqual([{ body: "abye", farewell: true }]);
  expect(owner.onClose).toHaveBeenCalledTimes(1);
});

// A connection that was ended in onConnection: the sink was ended before whoever opened it knew its subscriber.
test("ends with nothing to say, behind the back of whoever ends it", async () => {
  const { sink, owner, answers, settled } = opened();
  sink.end();
  expect(owner.onClose).not.toHaveBeenCalled();
  await settled();
  expect(answers).toEqual([{ body: "", farewell: false }]);
  expect(owner.onClose).toHaveBeenCalledTimes(1);
});
