/** Values that readers trip over: numbers at borders, names with a meaning elsewhere, JSON of odd shapes. */
import type { seeded } from '../support/seeded.ts';

export type Random = ReturnType<typeof seeded>;

/** One of some values; undefined of none. */
export function pick<T>(random: Random, values: readonly T[]): T | undefined {
  return values[random.integer(values.length)];
}

export const hostileNames: readonly string[] = [
  '',
  '__proto__',
  'constructor',
  'toString',
  'hasOwnProperty',
  '__metadata__',
  '\0',
  '\ud800',
  '\u001b[31m',
  '../outside/written',
  '/etc/passwd',
  'a'.repeat(5000),
];

export const hostileIntegers: readonly number[] = [
  0,
  1,
  2,
  -1,
  3,
  63,
  127,
  128,
  255,
  65_536,
  2 ** 31 - 1,
  2 ** 31,
  -(2 ** 31),
  2 ** 32 - 1,
  2 ** 32,
  2 ** 40,
  Number.MAX_SAFE_INTEGER,
  Number.MIN_SAFE_INTEGER,
];

/** 64-bit integers as protobuf's classes take them, those beyond 2^53 included. */
export const hostileLongs: readonly (number | { low: number; high: number; unsigned: boolean })[] = [
  ...hostileIntegers,
  { low: -1, high: 0x7fffffff, unsigned: false },
  { low: 0, high: -0x80000000, unsigned: false },
  { low: 0, high: 0x200000, unsigned: false },
];

export const hostileJson: readonly unknown[] = [
  null,
  true,
  0.5,
  -0.5,
  1e308,
  ...hostileIntegers,
  ...hostileNames,
  [],
  {},
  [-1],
  [[1], [2]],
  { toString: 1 },
  { toString: 1, valueOf: 2, length: 3 },
  { 0: 'one', 2: 'three' },
  Array.from({ length: 20_000 }, () => 0),
];
