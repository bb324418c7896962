import { pick } from "./random.js";
import type { DemoSource } from "./source.js";

interface NewsItem {
  readonly id: string;
  readonly type: string;
  readonly title: string;
  /** Milliseconds since 1970. */
  readonly timestamp: number;
}

/** What happens in a village that there is not, by what it is about: each `who` and each `what` go together. */
const stories = {
  village: {
    who: ["The council", "The school", "The fire brigade", "The library", "The night watchman"],
    what: [
      "opens its doors for a day",
      "asks for help with the old bridge",
      "counts its lamps and finds one too many",
      "moves into the granary for the winter",
      "puts the question of the clock to the vote",
    ],
  },
  river: {
    who: ["The upper weir", "The mill pond", "The ford at the oak", "The lower sluice"],
    what: [
      "carries a hand's breadth more water than last week",
      "is closed for repairs until noon",
      "has otters again",
      "will be measured twice a day from now on",
      "froze over for an hour, the third time this year",
    ],
  },
  trade: {
    who: ["Flour", "Oak planks", "Brass fittings", "Wool from the hills", "River trout"],
    what: [
      "fetched the best price since spring",
      "sold out before ten",
      "stayed on the carts: rain",
      "will be weighed on new scales",
      "found buyers from across the river",
    ],
  },
  weather: {
    who: ["Fog", "A west wind", "The first frost", "A warm front"],
    what: [
      "is on its way, the miller says",
      "came an hour earlier than forecast",
      "stays until Thursday",
      "took three hats off the market square",
    ],
  },
  sports: {
    who: ["The rowers", "The tug-of-war team", "The chess club", "The runners of Weir Lane"],
    what: [
      "won by a length",
      "drew, after two hours",
      "look for a new captain",
      "train in the dark now",
      "lost to the neighbours, and took it well",
    ],
  },
} satisfies Record<string, { who: readonly [string, ...string[]]; what: readonly [string, ...string[]] }>;

const types = Object.keys(stories) as [keyof typeof stories];
/** No title comes again within so many. */
const remembered = 50;

/** An item of news each five seconds. */
export const news: DemoSource = {
  name: "news",
  everyMs: 5000,
  backlog: 24,
  begin(recent) {
    const titles = (recent as readonly NewsItem[]).map(({ title }) => title).slice(-remembered);
    return (timestamp) => {
      let item: NewsItem;
      do {
        const type = pick(types);
        const { who, what } = stories[type];
        item = { id: `news-${timestamp.toString(36)}`, type, title: `${pick(who)} ${pick(what)}`, timestamp };
      } while (titles.includes(item.title));
      titles.push(item.title);
      if (titles.length > remembered) titles.shift();
      return [{ event: "item", data: item }];
    };
  },
};
