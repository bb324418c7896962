// Figures as text. English number forms throughout, because the page's words are English; times are the reader's own.

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const oneDecimal = new Intl.NumberFormat("en", { minimumFractionDigits: 1, maximumFractionDigits: 1 });
const twoDecimals = new Intl.NumberFormat("en", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const signed = new Intl.NumberFormat("en", {
  minimumFractionDigits: 2,
  maximumFractionDigits: 2,
  signDisplay: "exceptZero",
});
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });

/** A no-break space: a figure never leaves its unit. */
const SPACE = "\u00a0";
const NONE = "–";

function known(value, form) {
  if (!Number.isFinite(value)) return NONE;
  // No figure of a machine is this large, but anyone may publish one, and 300 digits would push the page apart.
  return Math.abs(value) < 1e15 ? form(value) : value.toExponential(1);
}

export const count = (value) => known(value, (n) => whole.format(n));
export const percent = (value) => known(value, (n) => `${oneDecimal.format(n)}${SPACE}%`);
export const load = (value) => known(value, (n) => twoDecimals.format(n));
export const rate = (value) => known(value, (n) => (n < 1000 ? oneDecimal : whole).format(n));
export const milliseconds = (value) => known(value, (n) => `${(n < 100 ? twoDecimals : whole).format(n)}${SPACE}ms`);

/** Money without its sign, and a change as everyone writes it: `+1.25 %`. */
export const money = (value) => known(value, (n) => twoDecimals.format(n));
export const signedPercent = (value) => known(value, (n) => `${signed.format(n)}${SPACE}%`);

export const euros = (value) => known(value, (n) => `€${SPACE}${whole.format(n)}`);
export const degrees = (value) => known(value, (n) => `${oneDecimal.format(n)}${SPACE}°C`);

/** `3 connections`, `1 user`. */
export const counted = (value, one, many) => known(value, (n) => `${whole.format(n)}${SPACE}${n === 1 ? one : many}`);

/** Memory, in powers of 1024. */
export const bytes = (value) => scaled(value, 1024, ["B", "KiB", "MiB", "GiB", "TiB"]);

/** A network's rate, in powers of 1000. */
export const bytesPerSecond = (value) => scaled(value, 1000, ["B/s", "kB/s", "MB/s", "GB/s", "TB/s"]);

function scaled(value, base, units) {
  return known(value, (n) => {
    let power = 0;
    while (n >= base && power < units.length - 1) {
      n /= base;
      power += 1;
    }
    return `${(power === 0 || n >= 1000 ? whole : oneDecimal).format(n)}${SPACE}${units[power]}`;
  });
}

export function duration(seconds) {
  return known(seconds, (n) => {
    if (n < 60) return `${Math.floor(n)}${SPACE}s`;
    if (n < 3600) return `${Math.floor(n / 60)}${SPACE}min`;
    if (n < 86_400) return `${Math.floor(n / 3600)}${SPACE}h ${Math.floor((n % 3600) / 60)}${SPACE}min`;
    return `${Math.floor(n / 86_400)}${SPACE}d ${Math.floor((n % 86_400) / 3600)}${SPACE}h`;
  });
}

/** The reader's local time of day. */
export const localTime = (timeMs) => known(timeMs, (n) => clock.format(n));

/** At most `limit` characters, the cut marked, no character halved. */
export function cut(text, limit) {
  if (text.length <= limit) return text;
  const end = /[\ud800-\udbff]/.test(text[limit - 1]) ? limit - 1 : limit;
  return `${text.slice(0, end)}…`;
}
