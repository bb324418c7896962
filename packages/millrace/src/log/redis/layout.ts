/** Bytes of an entry before its key: prev, ordinal, cumulative bytes, time (f64 each), flags (u8), size of key (u16). */
export const valueHeadBytes = 35;
/** Bytes of a message before its entries: dropped, droppedAt, missed, missedAt, drops (f64 each). */
export const messageHeadBytes = 40;
/** Flag of an entry whose data was published as something other than a string. */
export const jsonFlag = 1;
