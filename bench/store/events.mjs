// The load: events as they would go out on the wire, 150 bytes each, reproducible from their sequence.

const EVENT_BYTES = 150;

export function eventOf(seq) {
  const head = `id: k3v9-${seq}\nevent: tick\nchannel: general\ndata: {"seq":${seq},"pad":"`;
  return Buffer.from(`${head.padEnd(EVENT_BYTES - 4, "abcdefgh")}"}\n\n`);
}

/** `count` records after `after`, one for each event. */
export const recordsOf = (after, count) =>
  Array.from({ length: count }, (_, i) => ({ seq: after + 1 + i, bytes: eventOf(after + 1 + i) }));

/** The same events as one record: its payload is already what a stream would be sent. */
export const joined = (records) => [{ seq: records[0].seq, bytes: Buffer.concat(records.map(({ bytes }) => bytes)) }];
