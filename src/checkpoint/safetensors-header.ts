/** The header of a safetensors file: parsed with suspicion, nothing in it is believed before it is checked. */
import { KdxError } from '../errors/index.ts';
import type { DType } from '../graph/index.ts';
import { byteLength } from '../graph/index.ts';
import { cut, duplicateKey, isObject, maxJsonBytes, parseJson, shown } from './json.ts';

/** A dtype that safetensors can hold: kdx's dtypes without strings and 4-bit types. */
export type SafetensorsDType = Exclude<DType, 'string' | 'int4' | 'uint4'>;

/** Where a tensor lies; `begin` and `end` are bytes after the header. */
export interface SafetensorsEntry {
  readonly name: string;
  readonly dtype: SafetensorsDType;
  readonly dims: readonly number[];
  readonly begin: number;
  readonly end: number;
}

export interface SafetensorsHeader {
  /** In file order of the header. */
  readonly entries: readonly SafetensorsEntry[];
  readonly metadata: Readonly<Record<string, string>>;
  /** Byte position of the first tensor byte in the file. */
  readonly dataStart: number;
}

/** Axes of a tensor; more are a lie that would fill messages. */
const maxRank = 64;

/** Bytes of the little-endian header length that opens the file. */
export const lengthBytes = 8;

const dtypesByName: ReadonlyMap<string, SafetensorsDType> = new Map([
  ['F32', 'float32'],
  ['F64', 'float64'],
  ['F16', 'float16'],
  ['BF16', 'bfloat16'],
  ['I64', 'int64'],
  ['I32', 'int32'],
  ['I16', 'int16'],
  ['I8', 'int8'],
  ['U64', 'uint64'],
  ['U32', 'uint32'],
  ['U16', 'uint16'],
  ['U8', 'uint8'],
  ['BOOL', 'bool'],
]);

/** Names of the dtypes in the file format. */
export const safetensorsNames: ReadonlyMap<DType, string> = new Map(
  [...dtypesByName].map(([name, dtype]) => [dtype, name]),
);

/** The error of every broken safetensors file. */
export function corrupt(path: string, what: string, cause?: unknown): KdxError {
  return new KdxError('corrupt-safetensors', `${path} is not a valid safetensors file: ${what}`, {
    suggestions: ['copy or download the file again; it is probably incomplete'],
    cause,
  });
}

/** The header length that a file claims, checked against the file's size. */
export function headerLength(path: string, first: Uint8Array, fileBytes: number): number {
  if (first.byteLength < lengthBytes) throw corrupt(path, `it has ${fileBytes} bytes, a header needs more`);
  const claimed = new DataView(first.buffer, first.byteOffset, lengthBytes).getBigUint64(0, true);
  // The reference implementation has the same bound.
  if (claimed > BigInt(maxJsonBytes))
    throw corrupt(path, `its header claims ${claimed} bytes, the most allowed is ${maxJsonBytes}`);
  if (claimed > BigInt(fileBytes - lengthBytes))
    throw corrupt(path, `its header claims ${claimed} bytes, but the file has ${fileBytes}`);
  return Number(claimed);
}

/**
 * Checks a header against the number of data bytes that follow it.
 * The tensors must fill the data exactly: inside the file, without overlaps, without holes.
 */
export function parseHeader(path: string, header: Uint8Array, dataBytes: number): SafetensorsHeader {
  const text = new TextDecoder().decode(header);
  const json = parseJson(text, (reason, cause) => corrupt(path, `its header is not JSON (${reason})`, cause));
  if (!isObject(json)) throw corrupt(path, 'its header is not a JSON object');
  const twice = duplicateKey(text);
  if (twice !== undefined) throw corrupt(path, `its header has the key "${cut(twice)}" twice`);

  const { __metadata__: metadata, ...tensors } = json;
  const entries = Object.entries(tensors).map(([name, value]) => parseEntry(path, name, value, dataBytes));
  checkCoverage(path, entries, dataBytes);
  return { entries, metadata: parseMetadata(path, metadata), dataStart: lengthBytes + header.byteLength };
}

function parseEntry(path: string, name: string, value: unknown, dataBytes: number): SafetensorsEntry {
  const bad = (what: string) => corrupt(path, `tensor ${cut(name)} ${what}`);
  if (!isObject(value)) throw bad('is not described by an object');
  const dtype = dtypesByName.get(value['dtype'] as string);
  if (dtype === undefined)
    throw new KdxError('unsupported-dtype', `tensor ${cut(name)} of ${path} has dtype ${shown(value['dtype'])}`, {
      suggestions: [`supported are ${[...dtypesByName.keys()].join(', ')}`],
    });
  const dims = value['shape'];
  if (!isSizes(dims) || dims.length > maxRank) throw bad(`has shape ${shown(dims)}`);
  const offsets = value['data_offsets'];
  if (!isSizes(offsets) || offsets.length !== 2) throw bad(`has data_offsets ${shown(offsets)}`);
  const [begin, end] = offsets as [number, number];
  if (begin > end) throw bad(`ends (${end}) before it begins (${begin})`);
  if (end > dataBytes) throw bad(`ends at byte ${end} of the data, but the file holds only ${dataBytes}`);
  const expected = byteLength(dtype, dims);
  if (expected !== end - begin)
    throw bad(`is ${value['dtype']} [${dims.join(', ')}], which takes ${expected} bytes, but has ${end - begin}`);
  return { name, dtype, dims, begin, end };
}

function isSizes(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((item) => Number.isSafeInteger(item) && item >= 0);
}

function checkCoverage(path: string, entries: readonly SafetensorsEntry[], dataBytes: number): void {
  let reached = 0;
  let before = 'the header';
  for (const entry of [...entries].sort((a, b) => a.begin - b.begin || a.end - b.end)) {
    if (entry.begin < reached) throw corrupt(path, `tensors ${before} and ${entry.name} overlap`);
    if (entry.begin > reached)
      throw corrupt(
        path,
        `${entry.begin - reached} bytes between ${before} and tensor ${entry.name} belong to nothing`,
      );
    reached = entry.end;
    before = entry.name;
  }
  if (reached !== dataBytes)
    throw corrupt(path, `the last ${dataBytes - reached} bytes, after ${before}, belong to no tensor`);
}

function parseMetadata(path: string, metadata: unknown): Record<string, string> {
  if (metadata === undefined) return {};
  if (!isObject(metadata) || Object.values(metadata).some((value) => typeof value !== 'string'))
    throw corrupt(path, 'its __metadata__ is not a map of strings');
  return metadata as Record<string, string>;
}
