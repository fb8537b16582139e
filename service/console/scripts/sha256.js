// SHA-256 of what comes in pieces (FIPS 180-4): the browser's own takes a whole message at once.

const ROUNDS = Uint32Array.from(primes(64), (prime) => fraction(Math.cbrt(prime)));
const BLOCK = 64;

export class Sha256 {
  #state = Uint32Array.from(primes(8), (prime) => fraction(Math.sqrt(prime)));
  #left = new Uint8Array(0);
  #size = 0;

  /** Take the next piece. */
  add(piece) {
    this.#size += piece.length;
    const whole = new Uint8Array(this.#left.length + piece.length);
    whole.set(this.#left);
    whole.set(piece, this.#left.length);
    const end = whole.length - (whole.length % BLOCK);
    this.#mix(whole, end);
    this.#left = whole.slice(end);
  }

  /** The digest; nothing can be added after it. */
  end() {
    const bits = this.#size * 8;
    const padded = new Uint8Array(this.#left.length + 9 > BLOCK ? 2 * BLOCK : BLOCK);
    padded.set(this.#left);
    padded[this.#left.length] = 0x80;
    const view = new DataView(padded.buffer);
    view.setUint32(padded.length - 8, Math.floor(bits / 2 ** 32));
    view.setUint32(padded.length - 4, bits >>> 0);
    this.#mix(padded, padded.length);
    const digest = new DataView(new ArrayBuffer(32));
    this.#state.forEach((word, at) => digest.setUint32(4 * at, word));
    return digest.buffer;
  }

  #mix(bytes, end) {
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    const words = new Uint32Array(64);
    const state = this.#state;
    for (let at = 0; at < end; at += BLOCK) {
      for (let i = 0; i < 16; i += 1) words[i] = view.getUint32(at + 4 * i);
      for (let i = 16; i < 64; i += 1) {
        const [x, y] = [words[i - 15], words[i - 2]];
        const before = turned(x, 7) ^ turned(x, 18) ^ (x >>> 3);
        const after = turned(y, 17) ^ turned(y, 19) ^ (y >>> 10);
        words[i] = words[i - 16] + before + words[i - 7] + after;
      }
      let [a, b, c, d, e, f, g, last] = state;
      for (let i = 0; i < 64; i += 1) {
        const one = last + (turned(e, 6) ^ turned(e, 11) ^ turned(e, 25)) + ((e & f) ^ (~e & g)) + ROUNDS[i] + words[i];
        const two = (turned(a, 2) ^ turned(a, 13) ^ turned(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
        [last, g, f, e, d, c, b, a] = [g, f, e, (d + one) | 0, c, b, a, (one + two) | 0];
      }
      [a, b, c, d, e, f, g, last].forEach((word, i) => { state[i] += word; });
    }
  }
}

function turned(word, bits) {
  return (word >>> bits) | (word << (32 - bits));
}

function fraction(number) {
  return Math.floor((number - Math.floor(number)) * 2 ** 32);
}

function primes(count) {
  const found = [];
  for (let one = 2; found.length < count; one += 1) {
    if (found.every((prime) => one % prime)) found.push(one);
  }
  return found;
}
