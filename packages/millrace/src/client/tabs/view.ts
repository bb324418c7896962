import { parseSelection, type Selection, type StreamEvent, selects } from "../../protocol/index.js";

/** What only moves the cursor. */
export const cursorOnly = (lastEventId: string): StreamEvent => ({
  ...{ type: "", data: "", lastEventId, channel: undefined },
});

/** Whether it is one of the log, and not what a hub says of it. */
export const isEntry = ({ type }: StreamEvent): boolean => type !== "" && type !== "millrace.gap";

/**
 * What comes for all tabs, as it concerns one.
 * @param channels what that reads; none on a route whose application chooses them, for all
 * @param isEmpty whether it has dropped all that it read
 */
export function createView(
  channels: () => readonly string[],
  isEmpty: () => boolean = () => false,
): (event: StreamEvent) => StreamEvent {
  let selected: readonly string[] | undefined;
  let selection: Selection | undefined;
  /** What is for the user or for everybody comes without being selected. */
  const concerns = (name: string) =>
    name.startsWith("@") ||
    (!isEmpty() && (selection === undefined || selected?.includes(name) || selects(selection, name)));

  return (event) => {
    const now = channels();
    if (now !== selected) {
      selected = now;
      selection = now.length > 0 ? parseSelection(now) : undefined;
    }
    const { type, data, lastEventId, channel } = event;
    if (type !== "millrace.gap") {
      return channel === undefined || concerns(channel) ? event : cursorOnly(lastEventId);
    }
    const gap = JSON.parse(data) as { readonly channels: readonly string[] };
    const own = gap.channels.filter(concerns);
    if (own.length === 0 && gap.channels.length > 0) return cursorOnly(lastEventId);
    return { ...event, data: JSON.stringify({ ...gap, channels: own }) };
  };
}
