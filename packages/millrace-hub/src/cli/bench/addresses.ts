/**
 * A source address has some 28,000 ports, and another loopback address as many. But of one that is asked for, Linux looks
 * for a free port among a quarter of them first, and when those are taken each search takes a millisecond.
 */
const perAddress = 7000;

/**
 * Where the connection of this number, over all threads, comes from: of each 7,000 to a loopback host from an address of
 * their own. Undefined: the system chooses. The first 7,000 leave it to that, for not every system has a second address.
 */
export function sourceAddress(host: string, number: number): string | undefined {
  const onLoopback = /^127\./.test(host) || host === "localhost";
  const last = 1 + Math.floor(number / perAddress);
  if (!onLoopback || last === 1) return undefined;
  return `127.${last >> 16}.${(last >> 8) & 255}.${last & 255}`;
}
