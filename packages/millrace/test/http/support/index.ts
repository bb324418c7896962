import { createHub, type MillraceOptions } from "../../../src/index.js";
import type { Answer, Call, Client, Form } from "./forms.js";

export * from "./forms.js";
export * from "./raw.js";
export * from "./until.js";

/** A hub that lets anyone do anything, and keeps what its errors would say. */
export async function start(form: Form, options: MillraceOptions = {}) {
  const errors: unknown[] = [];
  const hub = createHub({ authorize: () => ({}), onError: (error) => errors.push(error), ...options });
  const client = await form.serve(hub);
  return { hub, errors, ...client, [Symbol.asyncDispose]: () => client[Symbol.asyncDispose]() };
}

export const json = (body: unknown, headers: Call["headers"] = {}): Call => ({
  method: "POST",
  headers: { "content-type": "application/json", ...headers },
  body: JSON.stringify(body),
});

/** Opens a stream, and reads its opening block. */
export async function open(client: Client, target: string, call?: Call): Promise<Answer> {
  const answer = await client.call(target, call);
  if (answer.status !== 200) throw new Error(`${target}: ${answer.status} ${await answer.text()}`);
  await answer.events.readUntil("the opening block", () => answer.events.lastEventId !== "");
  return answer;
}
