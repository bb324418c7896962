/** A number between two others. */
export const between = (low: number, high: number): number => low + Math.random() * (high - low);

/** About `spread` up or down, small steps more often than large ones. */
export const drift = (spread: number): number => (Math.random() + Math.random() + Math.random() - 1.5) * spread;

export const round = (value: number, decimals = 0): number => Number(value.toFixed(decimals));

export const clamp = (value: number, low: number, high: number): number => Math.min(high, Math.max(low, value));

export const pick = <T>(list: readonly [T, ...T[]]): T => list[Math.floor(Math.random() * list.length)] as T;
