/** Mutations of protobuf's wire format: hostile varints, lengths that lie, fields removed, repeated and retyped. */
import { pick, type Random } from './hostile-values.ts';

interface Field {
  readonly tagAt: number;
  /** Of the length or the number, after the tag. */
  readonly valueAt: number;
  /** After the length, for a part with one. */
  readonly bodyAt: number;
  readonly end: number;
  readonly wire: number;
}

/** All fields, those of parts that happen to be messages included; undefined when the bytes are no message. */
function fieldsIn(bytes: Uint8Array, start: number, stop: number, depth = 0): Field[] | undefined {
  const fields: Field[] = [];
  let at = start;
  const varint = (): number => {
    let value = 0;
    for (let shift = 1; at < stop; shift *= 128) {
      const byte = bytes[at++] as number;
      value += (byte & 127) * shift;
      if (byte < 128) return value;
      if (shift > 2 ** 63) break;
    }
    return NaN;
  };
  while (at < stop) {
    const tagAt = at;
    const tag = varint();
    const wire = tag & 7;
    const valueAt = at;
    if (Number.isNaN(tag) || tag < 8 || ![0, 1, 2, 5].includes(wire)) return undefined;
    const length = wire === 0 ? varint() * 0 : wire === 1 ? 8 : wire === 5 ? 4 : varint();
    const bodyAt = at;
    at += length;
    if (Number.isNaN(length) || at > stop) return undefined;
    fields.push({ tagAt, valueAt, bodyAt, end: at, wire });
    if (wire === 2 && depth < 8 && length < 2 ** 16) fields.push(...(fieldsIn(bytes, bodyAt, at, depth + 1) ?? []));
  }
  return fields;
}

const hostileVarints: readonly (readonly number[])[] = [
  [0],
  [0x7f],
  [0xff, 0xff, 0xff, 0xff, 0x07],
  [0xff, 0xff, 0xff, 0xff, 0x0f],
  [0x80, 0x80, 0x80, 0x80, 0x10],
  [...Array<number>(9).fill(0xff), 0x01],
  [...Array<number>(9).fill(0xff), 0x7f],
  [...Array<number>(9).fill(0x80), 0x00],
  [...Array<number>(11).fill(0x80), 0x00],
  [0x81, 0x80, 0x80, 0x00],
  Array<number>(20).fill(0xff),
];

type Mutate = (bytes: Buffer, field: Field, random: Random, other: Field) => Uint8Array;

const splice = (bytes: Buffer, from: number, to: number, ...parts: readonly Uint8Array[]): Uint8Array =>
  Buffer.concat([bytes.subarray(0, from), ...parts, bytes.subarray(to)]);

const mutations: Readonly<Record<string, Mutate>> = {
  'hostile number or length': (bytes, { valueAt, bodyAt, end, wire }, random) =>
    splice(bytes, valueAt, wire === 2 ? bodyAt : end, Uint8Array.from(pick(random, hostileVarints) ?? [])),
  'hostile tag': (bytes, { tagAt, valueAt }, random) =>
    splice(bytes, tagAt, valueAt, Uint8Array.from(pick(random, hostileVarints) ?? [])),
  'another tag': (bytes, { tagAt, valueAt }, random) =>
    splice(bytes, tagAt, valueAt, Uint8Array.of(random.integer(256))),
  'length off by a little': (bytes, { valueAt }, random) => {
    bytes[valueAt] = ((bytes[valueAt] as number) + 1 + random.integer(4)) & 127;
    return bytes;
  },
  'field removed': (bytes, { tagAt, end }) => splice(bytes, tagAt, end),
  'field repeated': (bytes, { tagAt, end }, random) => {
    const most = Math.min(2000, 2 ** 20 / (end - tagAt));
    return splice(
      bytes,
      end,
      end,
      ...Array.from({ length: 1 + random.integer(most) }, () => bytes.subarray(tagAt, end)),
    );
  },
  'field put elsewhere': (bytes, { tagAt, end }, _, other) =>
    splice(bytes, other.bodyAt, other.bodyAt, Buffer.from(bytes.subarray(tagAt, end))),
};

/** The lengths around a change are not corrected: most mutations of inner fields lie about them too. */
export function mutateWire(bytes: Uint8Array, random: Random): { bytes: Uint8Array; what: string } {
  const fields = fieldsIn(bytes, 0, bytes.length) ?? [];
  const what = pick(random, Object.keys(mutations)) as string;
  const field = pick(random, fields) as Field;
  const mutated = mutations[what]?.(Buffer.from(bytes), field, random, pick(random, fields) as Field);
  return { bytes: mutated as Uint8Array, what };
}
