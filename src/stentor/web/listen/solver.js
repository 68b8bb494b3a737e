/**
 * A worker that seeks the number of which SHA-256(salt + number) is known. WebCrypto is not there where there is no TLS,
 * and takes a promise for each hash; what is hashed here is a single block.
 */

const primes = [];
for (let n = 2; primes.length < 64; n += 1) if (primes.every((prime) => n % prime)) primes.push(n);
const fraction = (x) => ((x % 1) * 2 ** 32) | 0;
const K = Int32Array.from(primes, (prime) => fraction(Math.cbrt(prime)));
const H = Int32Array.from(primes.slice(0, 8), (prime) => fraction(Math.sqrt(prime)));
const w = new Int32Array(64);
const bytes = new Uint8Array(64);
const block = new DataView(bytes.buffer);

function schedule() {
  for (let i = 0; i < 16; i += 1) w[i] = block.getInt32(4 * i);
  for (let i = 16; i < 64; i += 1) {
    const x = w[i - 15];
    const y = w[i - 2];
    const low = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
    const high = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
    w[i] = w[i - 16] + low + w[i - 7] + high;
  }
}

/** FIPS 180-4, of the one block. Whether it is `wanted`; nothing is allocated, for this is what takes the time. */
function hashes(wanted) {
  schedule();
  let a = H[0];
  let b = H[1];
  let c = H[2];
  let d = H[3];
  let e = H[4];
  let f = H[5];
  let g = H[6];
  let h = H[7];
  for (let i = 0; i < 64; i += 1) {
    const high = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
    const first = (h + high + ((e & f) ^ (~e & g)) + K[i] + w[i]) | 0;
    const low = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
    const second = (low + ((a & b) ^ (a & c) ^ (b & c))) | 0;
    h = g; g = f; f = e; e = (d + first) | 0;
    d = c; c = b; b = a; a = (first + second) | 0;
  }
  return ((a + H[0]) | 0) === wanted[0] && [a, b, c, d, e, f, g, h].every((word, i) => ((word + H[i]) | 0) === wanted[i]);
}

function put(text, at) {
  for (let i = 0; i < text.length; i += 1) bytes[at + i] = text.charCodeAt(i);
}

/** -> the number, or null. What is hashed has at most 55 bytes. */
function solve({ salt, challenge, maxnumber }) {
  const wanted = Int32Array.from(challenge.match(/.{8}/g), (word) => parseInt(word, 16));
  put(salt, 0);
  for (let number = 0; number <= maxnumber; number += 1) {
    const digits = String(number);
    const end = salt.length + digits.length;
    put(digits, salt.length);
    bytes[end] = 0x80;
    block.setUint32(60, 8 * end);
    if (hashes(wanted)) return number;
  }
  return null;
}

addEventListener("message", ({ data }) => postMessage(solve(data)));
