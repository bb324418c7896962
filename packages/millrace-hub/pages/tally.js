// Whether something was lost, or came twice. The hub's sources count what they publish: `n` in the data, by channel.

export function createTally() {
  const last = new Map();
  const tally = { received: 0, lost: 0, doubled: 0 };

  return {
    tally,

    count({ channel, data }) {
      tally.received += 1;
      const n = data?.n;
      if (!Number.isSafeInteger(n)) return; // a visitor's
      const before = last.get(channel);
      if (before !== undefined && n <= before) tally.doubled += 1;
      else if (before !== undefined) tally.lost += n - before - 1;
      if (before === undefined || n > before) last.set(channel, n);
    },

    /** The hub has said that events are missing: what it says is no loss in silence. */
    beginAnew() {
      last.clear();
    },
  };
}
