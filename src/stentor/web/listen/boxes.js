/** Cuts bytes into what a source buffer may be given: a header (`ftyp` + `moov`) or a chunk (`moof` + `mdat`); ISO/IEC 14496-12. */

const BOX_BYTES_MAX = 1 << 20;

const text = (bytes) => String.fromCharCode(...bytes);
const u32 = (bytes, at) => new DataView(bytes.buffer, bytes.byteOffset).getUint32(at);

function join(a, b) {
  const whole = new Uint8Array(a.length + b.length);
  whole.set(a);
  whole.set(b, a.length);
  return whole;
}

/** MIME type with the codec that a header announces. */
export const typeOf = (header) => `audio/mp4; codecs="${text(header).includes("Opus") ? "opus" : "mp4a.40.2"}"`;

export class BoxSplitter {
  #rest = new Uint8Array(0);
  #part = new Uint8Array(0);
  #n = 0;

  /** Takes bytes as they come, returns what became whole: [{header, n, bytes}]; `n` of a chunk stands in its `mfhd`. */
  push(bytes) {
    this.#rest = this.#rest.length ? join(this.#rest, bytes) : bytes;
    const parts = [];
    for (let size = this.#size(); size && this.#rest.length >= size; size = this.#size()) {
      const box = this.#rest.subarray(0, size);
      this.#rest = this.#rest.subarray(size);
      this.#take(box, parts);
    }
    return parts;
  }

  #size() {
    if (this.#rest.length < 8) return 0;
    const size = u32(this.#rest, 0);
    if (size < 8 || size > BOX_BYTES_MAX) throw new Error(`not MP4: a box of ${size} bytes`);
    return size;
  }

  #take(box, parts) {
    const type = text(box.subarray(4, 8));
    if (type === "moof") this.#n = u32(box, 20);
    this.#part = join(this.#part, box);
    if (type !== "moov" && type !== "mdat") return;
    parts.push({ header: type === "moov", n: this.#n, bytes: this.#part });
    this.#part = new Uint8Array(0);
  }
}
