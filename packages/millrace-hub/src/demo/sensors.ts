import { between, clamp, drift, round } from "./random.js";
import type { DemoSource, SourceEvent } from "./source.js";

/** What a device says of itself. One that is offline says nothing: then it is its gateway that tells. */
interface Device {
  readonly device: string;
  readonly place: string;
  readonly online: boolean;
  /** °C, one decimal. */
  readonly temperature: number;
  /** Percent. */
  readonly humidity: number;
  readonly battery: number;
  readonly time: number;
}

const placed = [
  ["wheel-bearing", "Wheel house", 38, 71],
  ["mill-race", "Mill race", 11, 96],
  ["grain-store", "Grain store", 14, 52],
  ["stone-floor", "Stone floor", 22, 47],
  ["oven-1", "Bakery", 196, 12],
  ["oven-2", "Bakery", 188, 14],
  ["cold-room", "Cold room", 4, 61],
  ["roof", "Roof", 17, 68],
] as const;

const leaves = 0.006;
const returns = 0.09;

/** Readings of eight devices, some each second. Now and then one is out of reach. */
export const sensors: DemoSource = {
  name: "sensors",
  everyMs: 1000,
  backlog: 90,
  begin(recent) {
    const last = new Map((recent as readonly Device[]).map((device) => [device.device, device]));
    const devices = placed.map(([device, place, temperature, humidity]) => {
      const fresh: Known = { device, place, online: true, temperature, humidity, battery: round(between(18, 100), 1) };
      return { usual: { temperature, humidity }, now: last.get(device) ?? fresh };
    });
    return (time) =>
      devices.flatMap((device): SourceEvent[] => {
        const told = step(device.now, device.usual);
        if (!told) return [];
        const { event, ...now } = told;
        device.now = now;
        return [{ event, key: now.device, data: { ...now, time } }];
      });
  },
};

type Known = Omit<Device, "time">;

/** What becomes of a device in one round; undefined: nothing is heard of it. */
function step(now: Known, usual: Pick<Device, "temperature" | "humidity">): (Known & { event: string }) | undefined {
  if (!now.online) return Math.random() < returns ? { ...now, event: "status", online: true } : undefined;
  if (Math.random() < leaves) return { ...now, event: "status", online: false };
  if (Math.random() < 0.45) return undefined;
  const toward = (value: number, mean: number, spread: number) => value + (mean - value) * 0.04 + drift(spread);
  return {
    ...now,
    event: "reading",
    temperature: round(toward(now.temperature, usual.temperature, 0.25 + usual.temperature * 0.012), 1),
    humidity: Math.round(clamp(toward(now.humidity, usual.humidity, 1.6), 3, 99)),
    // An empty one is changed.
    battery: now.battery <= 2 ? 100 : round(now.battery - 0.05, 2),
  };
}
