import { constants, gunzipSync } from "node:zlib";
import { RecordingSink } from "./recording-sink.js";

/** A recording sink whose peer inflates: what it was given has to be readable at every write. */
export class InflatingSink extends RecordingSink {
  /** What came over the wire. */
  readonly received: Uint8Array[] = [];
  #read = 0;

  override write(bytes: Uint8Array): boolean {
    if (this.closed) return false;
    this.received.push(Uint8Array.from(bytes)); // a copy: whoever changes shared bytes later must not change these
    // The stream has no end: that alone is forgiven.
    const plain = gunzipSync(Buffer.concat(this.received), { finishFlush: constants.Z_SYNC_FLUSH });
    const behind = plain.subarray(this.#read);
    this.#read = plain.length;
    return super.write(behind);
  }
}
