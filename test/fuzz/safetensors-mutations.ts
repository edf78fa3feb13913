/** Mutations of safetensors files that keep the frame: length, JSON header, data. */
import { pick, type Random } from './hostile-values.ts';
import { mutateJson } from './json-mutations.ts';

function framed(header: Uint8Array, data: Uint8Array, claimed: bigint = BigInt(header.length)): Uint8Array {
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt.asUintN(64, claimed));
  return Buffer.concat([length, header, data]);
}

const hostileLengths: readonly bigint[] = [0n, 1n, 2n ** 31n, 2n ** 32n, 2n ** 53n, 2n ** 63n, -1n, 100_000_000n];

type Mutate = (header: Buffer, data: Buffer, random: Random) => { bytes: Uint8Array; what: string };

const mutateHeader: Mutate = (header, data, random) => {
  const { text, what } = mutateJson(header.toString('utf8'), random);
  return { bytes: framed(Buffer.from(text), data), what };
};

const mutations: readonly Mutate[] = [
  mutateHeader,
  mutateHeader,
  mutateHeader,
  (header, data, random) => ({ bytes: framed(header, data, pick(random, hostileLengths)), what: 'hostile length' }),
  (header, data, random) => ({
    bytes: framed(header, data, BigInt(header.length + random.integer(17) - 8)),
    what: 'length off by a little',
  }),
  (header, data, random) => ({
    bytes: framed(header, data.subarray(0, random.integer(data.length))),
    what: 'data cut off',
  }),
  (header, data, random) => ({
    bytes: framed(header, Buffer.concat([data, Buffer.alloc(1 + random.integer(64))])),
    what: 'data too long',
  }),
  (_, data, random) => ({
    bytes: framed(Buffer.from(pick(random, ['[', '{"a":', ' ', '"'])!.repeat(1 + random.integer(200_000))), data),
    what: 'header of one token',
  }),
];

export function mutateSafetensors(bytes: Uint8Array, random: Random): { bytes: Uint8Array; what: string } {
  const whole = Buffer.from(bytes);
  const dataStart = 8 + Number(whole.readBigUInt64LE());
  return (pick(random, mutations) as Mutate)(whole.subarray(8, dataStart), whole.subarray(dataStart), random);
}
