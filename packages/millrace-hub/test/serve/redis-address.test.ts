import { describe, expect, test } from "vitest";
import { parseRedisAddress, redisUrl } from "../../src/serve/redis-address.js";

describe("the address of a Redis", () => {
  test.each([
    ["redis://localhost", "redis://localhost:6379/0"],
    ["redis://10.0.0.1:7000/2", "redis://10.0.0.1:7000/2"],
    ["rediss://:p%40ss%2Fword@cache.example.com", "rediss://:p%40ss%2Fword@cache.example.com:6379/0"],
    ["redis://user:pass@[::1]:6380", "redis://user:pass@[::1]:6380/0"],
  ])("%s is %s", (text, url) => {
    const address = parseRedisAddress(text);
    expect(redisUrl(address, address.hosts[0])).toBe(url);
    expect(address.sentinel).toBeUndefined();
    expect(address.shown).not.toContain("@");
  });

  test("may be that of Sentinels", () => {
    const address = parseRedisAddress("redis+sentinel://u:secret@a:1,b/the-master/3");
    expect(address).toMatchObject({
      hosts: [
        { host: "a", port: 1 },
        { host: "b", port: 26_379 },
      ],
      ...{ sentinel: "the-master", database: 3, shown: "redis+sentinel://a:1,b/the-master/3" },
    });
    expect(redisUrl(address, { host: "c", port: 7 })).toBe("redis://u:secret@c:7/3");
  });

  test.each([
    "redis:localhost",
    "redis://",
    "redis://a,b",
    "redis://a:0",
    "redis://a:70000",
    "redis://a/x",
    "redis://a/1/2",
    "redis://a?b=c",
    "redis://u:%zz@a",
    "redis+sentinel://a",
    "redis+sentinel://a,:1/name",
    "redis2://a",
    "redis://u:a@b@c",
  ])("%s is none", (text) => {
    expect(() => parseRedisAddress(text)).toThrow(/^redis:\/\/\[USER/);
  });
});
