import type { DemoSource } from "./source.js";

/** A message. Those of visitors have no `simulated`, and no time but the one that the hub got them at. */
interface ChatMessage {
  readonly name: string;
  readonly text: string;
  readonly simulated: true;
  /** Milliseconds since 1970. */
  readonly timestamp: number;
  /** Which line of the talk it is. */
  readonly line: number;
}

/** A talk among three, which begins again when it is over. */
const talk = [
  ["Mara", "Morning! Who has the keys to the mill?"],
  ["Jonas", "Me. I am at the weir, back in ten minutes."],
  ["Mara", "No hurry. The water is high enough?"],
  ["Jonas", "A hand above the mark. It will do for today."],
  ["Edda", "Then I bring the rye now, before the rain."],
  ["Mara", "Bring the small sacks, please. The hoist still creaks."],
  ["Edda", "It has creaked since my grandmother's time 😀"],
  ["Jonas", "I have oiled it twice. It likes to be heard."],
  ["Mara", "Did anyone count the sacks from yesterday?"],
  ["Edda", "Forty-two, and one that the mice have opened."],
  ["Jonas", "Forty-two here too. The cat is informed."],
  ["Mara", "Good. Once counted is enough, as long as none is counted twice."],
  ["Edda", "Is the bridge open again?"],
  ["Jonas", "For carts, yes. One at a time."],
  ["Edda", "Then I will be there at eleven."],
  ["Mara", "I put the kettle on at half past ten ☕"],
  ["Jonas", "Best news of the day."],
  ["Mara", "By the way: whoever reads this can write, too."],
  ["Edda", "True! There is a field at the bottom."],
  ["Jonas", "We do not answer, though. We only know these lines."],
  ["Mara", "And we know them well 🙂"],
  ["Edda", "See you at eleven, then."],
  ["Jonas", "See you. Mind the third plank."],
  ["Mara", "Always the third plank."],
] as const;

/** A message each three seconds, from three people who are none. */
export const chat: DemoSource = {
  name: "chat",
  everyMs: 3000,
  backlog: 10,
  begin(recent) {
    let line = (recent.at(-1) as ChatMessage | undefined)?.line ?? -1;
    return (timestamp) => {
      line = (line + 1) % talk.length;
      const [name, text] = talk[line] ?? talk[0];
      return [{ event: "message", data: { name, text, simulated: true, timestamp, line } satisfies ChatMessage }];
    };
  },
};
