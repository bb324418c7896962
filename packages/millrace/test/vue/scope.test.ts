// biome-ignore-all lint/correctness/useHookAtTopLevel: a rule of React. Vue calls composables once, in setup.
/** Composables without a component, as in a store: against a real hub. */
import http from "node:http";
import type { AddressInfo } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { effectScope, nextTick, ref } from "vue";
import { createHub } from "../../src/index.js";
import { useChannel, useConnection, useEvents } from "../../src/vue/index.js";
import { until } from "../hub/until.js";

async function serve() {
  const hub = createHub({ authorize: () => ({}) });
  const server = http.createServer(hub.listener);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(async () => {
    server.closeAllConnections();
    await hub.close({ drainMs: 0 });
    server.close();
  });
  const reads = () => [...hub.connections()].map(({ channels }) => [...channels].sort().join()).join(" and ");
  return { hub, reads, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/events` };
}

test("a scope of its own is connected until it ends", async () => {
  const { hub, reads, url } = await serve();
  const room = ref("a");
  const token = ref("1");
  const heard: unknown[] = [];
  const scope = effectScope();
  const shown = scope.run(() => {
    const connection = useConnection(url, () => ({ headers: { Authorization: token.value } }));
    useEvents(connection, "*", ({ data }) => heard.push(data));
    return useChannel(connection, room, { keep: 2 });
  });
  await until(() => reads() === "a" && shown?.state.value === "open");
  // What options are made of is read anew at each attempt, and followed by none.
  token.value = "2";
  await nextTick();
  await hub.publish([1, 2, 3].map((data) => ({ channel: "a", data })));
  await until(() => shown?.latest.value?.data === 3);
  expect(shown?.events.value.map(({ data }) => data)).toEqual([2, 3]);
  expect(heard).toEqual([1, 2, 3]);
  room.value = "b";
  expect(shown?.events.value).toEqual([]);
  await until(() => reads() === "b");
  scope.stop();
  await until(() => reads() === "");
  expect(shown?.state.value).toBe("closed");
});
