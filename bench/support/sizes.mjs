/** Bytes of an event's data, and of the event on the wire with the hub's fields; what has others is sent as many bytes. */
export const dataBytes = 85;
export const eventBytes = 124;
