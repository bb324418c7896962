/**
 * The address of a peer; behind trusted proxies, what they say it is.
 * @param forwardedFor reads the header `X-Forwarded-For`
 */
export function remoteAddressOf(
  address: string | undefined,
  trustedProxies: readonly string[],
  forwardedFor: () => string | undefined,
): string | undefined {
  const peer = address && plain(address);
  if (!peer || !trustedProxies.includes(peer)) return peer;
  // From the right: what stands left of the first untrusted address is what that one claims.
  const said = (forwardedFor() ?? "").split(",").map((part) => plain(part.trim()));
  return said.findLast((part) => part !== "" && !trustedProxies.includes(part)) ?? peer;
}

/** An IPv4 address as it is written, where the socket also takes IPv6. */
const plain = (address: string): string => address.replace(/^::ffff:(?=\d+\.)/i, "");
