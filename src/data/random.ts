/** Seeded random numbers: sfc32 (Chris Doty-Humphrey, PractRand), one independent stream per name. */
import { internal } from '../errors/index.ts';

/** The four words of sfc32, plain JSON. */
export type RandomState = readonly [number, number, number, number];

export interface Random {
  /** Uniform over 0 .. 2^32 - 1. */
  nextUint32(): number;
  /** Uniform over [0, 1) with 53 bits. */
  nextFloat(): number;
  /** Uniform over 0 .. bound - 1, without bias; bound is at most 2^32. */
  int(bound: number): number;
  /** Fisher-Yates in place; returns the same array. */
  shuffle<T>(values: T[]): T[];
  /** Fills with uniform 16-bit numbers: two per word of the generator, low half first. */
  fillUint16(target: Uint16Array): Uint16Array;
  /**
   * Fills with 1 (probability `keep`) and 0, two elements per word of the generator. `keep` is rounded to a multiple
   * of 2^-16, so scale by 1 / keep only where an error of 2^-17 does not matter (dropout).
   */
  fillBernoulli(target: Uint8Array, keep: number): Uint8Array;
  /** Everything needed to go on from here with `randomFromState`. */
  state(): RandomState;
}

/** The stream called `name` (and numbered `indices`, e.g. epoch and step) of a seed. Indices are 32-bit integers. */
export function randomStream(seed: number, name: string, ...indices: readonly number[]): Random {
  // Two 32-bit lanes that absorb every word of the key; finalizer of MurmurHash3.
  let low = 0x9e3779b9;
  let high = 0x85ebca6b;
  const absorb = (word: number) => {
    low = mix(low ^ word);
    high = mix((high + low) ^ Math.imul(word, 0xc2b2ae35));
  };
  if (!Number.isSafeInteger(seed)) throw internal(`a seed is an integer, got ${seed}`);
  absorb(seed);
  absorb(Math.floor(seed / 2 ** 32));
  absorb(name.length);
  for (let i = 0; i < name.length; i++) absorb(name.charCodeAt(i));
  for (const index of indices) absorb(index);
  const random = randomFromState([low, high, mix(low + 0x9e3779b9), 1]);
  for (let i = 0; i < 15; i++) random.nextUint32();
  return random;
}

/** Continues a generator exactly where `state()` was taken. */
export function randomFromState(state: RandomState): Random {
  const current = Int32Array.from(state, (word) => word | 0);
  const single = new Uint32Array(1);
  const block = new Uint32Array(2048);

  const nextUint32 = () => {
    fillWords(current, single, 1);
    return single[0] as number;
  };

  const int = (bound: number) => {
    if (!(bound >= 1 && bound <= 2 ** 32)) throw internal(`no integer below ${bound}`);
    const limit = 2 ** 32 - (2 ** 32 % bound);
    let word = nextUint32();
    while (word >= limit) word = nextUint32();
    return word % bound;
  };

  const shuffle = <T>(values: T[]) => {
    for (let i = values.length - 1; i > 0; i--) {
      const j = int(i + 1);
      const swapped = values[i] as T;
      values[i] = values[j] as T;
      values[j] = swapped;
    }
    return values;
  };

  const fillUint16 = (target: Uint16Array) => {
    for (let start = 0; start < target.length; start += 2 * block.length) {
      const part = target.subarray(start, start + 2 * block.length);
      fillWords(current, block, (part.length + 1) >> 1);
      splitWords(block, part);
    }
    return target;
  };

  const fillBernoulli = (target: Uint8Array, keep: number) => {
    const threshold = Math.round(keep * 65536);
    for (let start = 0; start < target.length; start += 2 * block.length) {
      const part = target.subarray(start, start + 2 * block.length);
      fillWords(current, block, (part.length + 1) >> 1);
      compareWords(block, threshold, part);
    }
    return target;
  };

  return {
    nextUint32,
    nextFloat: () => ((nextUint32() >>> 5) * 2 ** 26 + (nextUint32() >>> 6)) / 2 ** 53,
    int,
    shuffle,
    fillUint16,
    fillBernoulli,
    state: () => Array.from(current, (word) => word >>> 0) as unknown as RandomState,
  };
}

/** The first `count` elements of `target` become the next words; the state stays in registers meanwhile. */
function fillWords(state: Int32Array, target: Uint32Array, count: number): void {
  let a = state[0] as number;
  let b = state[1] as number;
  let c = state[2] as number;
  let counter = state[3] as number;
  for (let i = 0; i < count; i++) {
    const word = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + word) | 0;
    target[i] = word;
  }
  state[0] = a;
  state[1] = b;
  state[2] = c;
  state[3] = counter;
}

/** The halves of words, low half first. A write past the end of `target` is ignored: an odd length drops a half. */
function splitWords(words: Uint32Array, target: Uint16Array): void {
  for (let i = 0; i < target.length; i += 2) {
    const word = words[i >> 1] as number;
    target[i] = word;
    target[i + 1] = word >>> 16;
  }
}

/** 1 where a half is below the threshold, else 0: the sign bit of the difference, without a branch. */
function compareWords(words: Uint32Array, threshold: number, target: Uint8Array): void {
  for (let i = 0; i < target.length; i += 2) {
    const word = words[i >> 1] as number;
    target[i] = ((word & 0xffff) - threshold) >>> 31;
    target[i + 1] = ((word >>> 16) - threshold) >>> 31;
  }
}

function mix(word: number): number {
  word = Math.imul(word ^ (word >>> 16), 0x85ebca6b);
  word = Math.imul(word ^ (word >>> 13), 0xc2b2ae35);
  return (word ^ (word >>> 16)) >>> 0;
}
