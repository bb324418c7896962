import { pick } from "./random.js";
import type { DemoSource, SourceEvent } from "./source.js";

type Pair = readonly [home: number, away: number];

/** All of a match at one moment. */
interface Match {
  /** Where it is played; one follows another there, counted by `game`. */
  readonly ground: string;
  readonly game: number;
  readonly teams: readonly [home: string, away: string];
  readonly score: Pair;
  readonly shots: Pair;
  /** Of the home team, in percent. */
  readonly possession: number;
  readonly phase: "before" | "first half" | "half-time" | "second half" | "full time";
  readonly minute: number;
  /** Rounds until the next phase. */
  readonly pause: number;
}

/** What has happened in it. */
interface Play {
  readonly ground: string;
  readonly game: number;
  readonly minute: number;
  readonly kind: "goal" | "chance" | "card" | "corner";
  readonly team: 0 | 1;
  readonly player: string;
  readonly score: Pair;
}

const grounds = ["Mill Lane", "Weir Park", "Lock Road", "Sluice End"] as const;
const teams = [
  "Avon Rovers",
  "Tweed United",
  "Severn City",
  "Trent Albion",
  "Mersey Town",
  "Tyne Athletic",
  "Thames Wanderers",
  "Humber Rangers",
  "Dee Celtic",
  "Wye Harriers",
] as const;
const players = ["Miller", "Carter", "Cooper", "Wainwright", "Smith", "Fisher", "Weaver", "Mason", "Fletcher"] as const;

/** A minute of play is one second. */
const pauses = { before: 4, "half-time": 8, "full time": 15 } as const;
const chances = { goal: 0.03, card: 0.03, chance: 0.1, corner: 0.1 } as const;

/** Four matches at a time: each second their state, and what has happened. */
export const scores: DemoSource = {
  name: "scores",
  everyMs: 1000,
  backlog: 70,
  begin(recent) {
    const last = new Map(
      (recent as readonly (Match | Play)[]).filter((data) => "phase" in data).map((match) => [match.ground, match]),
    );
    let matches: readonly Match[] = grounds.map((ground, at) => last.get(ground) ?? draw(ground, 1, at * 19, []));
    return () => {
      const events: SourceEvent[] = [];
      matches = matches.map((before) => {
        const busy = matches.flatMap((match) => (match === before ? [] : match.teams));
        const match = move(before, busy);
        const play = running(match) ? playOf(match) : undefined;
        const now = play ? { ...match, score: play.score, shots: shotsOf(match, play) } : match;
        if (play) events.push({ event: "play", data: play });
        events.push({ event: "match", key: now.ground, data: now });
        return now;
      });
      return events;
    };
  },
};

/** The next match of a ground, of teams that do not play elsewhere. */
function draw(ground: string, game: number, pause: number, busy: readonly string[]): Match {
  const index = grounds.indexOf(ground as (typeof grounds)[number]);
  const free = teams.filter((team) => !busy.includes(team));
  const [home, away] =
    game === 1 ? [teams[index * 2], teams[index * 2 + 1]] : [...free].sort(() => Math.random() - 0.5);
  const nothing: Pair = [0, 0];
  return {
    ...{ ground, game, teams: [String(home), String(away)], score: nothing, shots: nothing },
    ...{ possession: 50, phase: "before", minute: 0, pause: pause || 1 },
  };
}

const running = ({ phase }: Match) => phase === "first half" || phase === "second half";

function move(match: Match, busy: readonly string[]): Match {
  const { ground, game, phase, minute, pause } = match;
  const possession = Math.round(Math.min(70, Math.max(30, match.possession + (Math.random() - 0.5) * 4)));
  if (phase === "first half" && minute === 45) return { ...match, phase: "half-time", pause: pauses["half-time"] };
  if (phase === "second half" && minute === 90) return { ...match, phase: "full time", pause: pauses["full time"] };
  if (running(match)) return { ...match, minute: minute + 1, possession };
  if (pause > 1) return { ...match, pause: pause - 1 };
  if (phase === "full time") return draw(ground, game + 1, pauses.before, busy);
  return { ...match, phase: phase === "before" ? "first half" : "second half", minute: minute + 1, pause: 0 };
}

function playOf({ ground, game, minute, score, possession }: Match): Play | undefined {
  const team = Math.random() * 100 < possession ? 0 : 1;
  let luck = Math.random();
  for (const kind of ["goal", "card", "chance", "corner"] as const) {
    luck -= chances[kind];
    if (luck >= 0) continue;
    const after: Pair = kind === "goal" ? added(score, team) : score;
    return { ground, game, minute, kind, team, player: pick(players), score: after };
  }
  return undefined;
}

const added = ([home, away]: Pair, team: 0 | 1): Pair => (team === 0 ? [home + 1, away] : [home, away + 1]);

const shotsOf = ({ shots }: Match, { kind, team }: Play): Pair =>
  kind === "goal" || kind === "chance" ? added(shots, team) : shots;
