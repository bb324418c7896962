// Live scores: `match` is the state of a match, whole each time; `play` is what has happened in it.

import { element, flash, onceAFrame, setText } from "./dom.js";
import { openPage } from "./frame.js";

const KEPT = 5;
const words = { goal: "Goal", card: "Yellow card", chance: "Chance", corner: "Corner" };
const grounds = new Map();

const page = openPage({ channels: ["demo/scores"], rewind: 600 });

page.on("match", ({ data: match }) => {
  const ground = groundOf(match.ground);
  if (ground.match?.game !== match.game) ground.plays = [];
  ground.match = match;
  redraw();
});

page.on("play", ({ data: play }) => {
  const ground = groundOf(play.ground);
  ground.plays = [play, ...ground.plays].slice(0, KEPT);
  redraw();
});

const redraw = onceAFrame(() => {
  for (const ground of grounds.values()) if (ground.match) draw(ground);
});

function groundOf(name) {
  if (!grounds.has(name)) grounds.set(name, addGround(name));
  return grounds.get(name);
}

function addGround(name) {
  const text = (className, tag = "span") => element(tag, className);
  const clock = text("clock");
  const teams = [text("team"), text("team away")];
  const score = [text("goals", "b"), text("goals", "b")];
  const progress = element("i");
  const possession = element("i");
  const shots = text("shots");
  const plays = element("ol", "plays");
  plays.setAttribute("aria-label", `What has happened at ${name}, newest first`);
  const match = element("div", "score", teams[0], score[0], element("span", "to", ":"), score[1], teams[1]);
  const card = element(
    "section",
    "panel ground",
    element("div", "head", element("h2", "", name), clock),
    element("span", "progress", progress),
    match,
    element("div", "ball", element("span", "possession", possession), shots),
    plays,
  );
  document.getElementById("grounds").append(card);
  return {
    clock,
    teams,
    score,
    progress,
    possession,
    shots,
    list: plays,
    plays: [],
    drawn: undefined,
    match: undefined,
  };
}

function draw(ground) {
  const { clock, teams, score, progress, possession, shots, list, plays, match } = ground;
  const isPlayed = match.phase.endsWith("half");
  setText(clock, isPlayed ? `${match.minute}′` : match.phase === "before" ? "kicks off soon" : match.phase);
  clock.classList.toggle("running", isPlayed);
  progress.style.setProperty("--share", String(match.minute / 90));
  possession.style.setProperty("--share", String(match.possession / 100));
  setText(shots, `Ball ${match.possession} : ${100 - match.possession} %, shots ${match.shots.join(" : ")}`);
  for (const side of [0, 1]) {
    setText(teams[side], match.teams[side]);
    // What is there when the page opens is no news.
    const known = score[side].textContent !== "";
    if (setText(score[side], String(match.score[side])) && known) flash(score[side], "brass");
  }
  if (ground.drawn === plays) return;
  ground.drawn = plays;
  list.replaceChildren(...plays.map((play) => rowOf(play, match)));
}

function rowOf({ kind, minute, player, team, score }, { teams }) {
  const what = kind === "goal" ? `${words.goal} ${score.join(" : ")}` : (words[kind] ?? kind);
  return element(
    "li",
    kind,
    element("span", "minute", `${minute}′`),
    element("b", "", what),
    element("span", "who", `${player}, ${teams[team]}`),
  );
}
