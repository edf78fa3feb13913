/** Mutations that know nothing of a format: bits, bytes, cuts, copies. */
import { pick, type Random } from './hostile-values.ts';

type Mutate = (bytes: Buffer, random: Random) => Uint8Array;

const range = (bytes: Buffer, random: Random): [number, number] => {
  const from = random.integer(bytes.length);
  return [from, from + 1 + random.integer(Math.min(64, bytes.length - from))];
};

const mutations: Readonly<Record<string, Mutate>> = {
  'flip bits'(bytes, random) {
    for (let count = 1 + random.integer(8); count > 0; count--) {
      const at = random.integer(bytes.length);
      bytes[at] = (bytes[at] as number) ^ (1 << random.integer(8));
    }
    return bytes;
  },
  'replace bytes'(bytes, random) {
    const [from, to] = range(bytes, random);
    for (let at = from; at < to; at++) bytes[at] = random.integer(256);
    return bytes;
  },
  'fill with 0xff'(bytes, random) {
    return bytes.fill(0xff, ...range(bytes, random));
  },
  'cut off'(bytes, random) {
    return bytes.subarray(0, random.integer(bytes.length));
  },
  remove(bytes, random) {
    const [from, to] = range(bytes, random);
    return Buffer.concat([bytes.subarray(0, from), bytes.subarray(to)]);
  },
  insert(bytes, random) {
    const at = random.integer(bytes.length);
    const inserted = Uint8Array.from({ length: 1 + random.integer(16) }, () => random.integer(256));
    return Buffer.concat([bytes.subarray(0, at), inserted, bytes.subarray(at)]);
  },
  repeat(bytes, random) {
    const [from, to] = range(bytes, random);
    const copies = Array.from({ length: 1 + random.integer(200) }, () => bytes.subarray(from, to));
    return Buffer.concat([bytes.subarray(0, to), ...copies, bytes.subarray(to)]);
  },
  append(bytes, random) {
    return Buffer.concat([bytes, Buffer.alloc(1 + random.integer(100), random.integer(256))]);
  },
};

/** Half of the mutations hit the first 4 KiB, where headers are. */
export function mutateBytes(bytes: Uint8Array, random: Random): { bytes: Uint8Array; what: string } {
  const what = pick(random, Object.keys(mutations)) as string;
  const head = random.integer(2) === 0 ? Math.min(4096, bytes.length) : bytes.length;
  const mutated = mutations[what]?.(Buffer.from(bytes.subarray(0, head)), random) as Uint8Array;
  return { bytes: Buffer.concat([mutated, bytes.subarray(head)]), what };
}
