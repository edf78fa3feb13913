/** Shared libraries for Linux as bytes, with a dynamic section and nothing in it that could run. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

export interface SharedObjectParts {
  readonly name?: string;
  readonly needed?: readonly string[];
  readonly versions?: readonly string[];
}

const [HEADER, PROGRAM_HEADER, ENTRY, VERDEF, VERDAUX] = [64, 56, 16, 20, 8];
/** The file is loaded there, so that addresses differ from places in the file. */
const ADDRESS = 0x10000;

/** Writes a 64-bit little-endian ELF file. */
export function writeSharedObject(path: string, parts: SharedObjectParts = {}): string {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, sharedObject(parts));
  return path;
}

export function sharedObject({ name, needed = [], versions = [] }: SharedObjectParts): Buffer {
  let strings = '\0';
  const textAt = (text: string) => {
    const at = strings.length;
    strings += `${text}\0`;
    return at;
  };
  const wanted = needed.map((each) => [1, textAt(each)] as const);
  const soname = name === undefined ? [] : [[14, textAt(name)] as const];
  const definitions = Buffer.concat(versions.map((version, i) => definition(textAt(version), i < versions.length - 1)));
  const table = Buffer.from(strings);

  const entries = wanted.length + soname.length + (versions.length > 0 ? 2 : 0) + 3;
  const dynamicAt = HEADER + 2 * PROGRAM_HEADER;
  const tableAt = dynamicAt + entries * ENTRY;
  const definitionsAt = tableAt + table.length;
  const bytes = definitionsAt + definitions.length;
  const dynamic = [
    ...wanted,
    ...soname,
    [5, ADDRESS + tableAt],
    [10, table.length],
    ...(versions.length > 0
      ? [
          [0x6ffffffc, ADDRESS + definitionsAt],
          [0x6ffffffd, versions.length],
        ]
      : []),
    [0, 0],
  ] as const;
  return Buffer.concat([
    header(),
    programHeader(1, 0, bytes),
    programHeader(2, dynamicAt, entries * ENTRY),
    Buffer.from(BigUint64Array.from(dynamic.flat(), BigInt).buffer),
    table,
    definitions,
  ]);
}

function header(): Buffer {
  const data = Buffer.alloc(HEADER);
  data.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  // ET_DYN, for x86-64.
  data.writeUInt16LE(3, 16);
  data.writeUInt16LE(62, 18);
  data.writeUInt32LE(1, 20);
  data.writeBigUInt64LE(BigInt(HEADER), 32);
  data.writeUInt16LE(HEADER, 52);
  data.writeUInt16LE(PROGRAM_HEADER, 54);
  data.writeUInt16LE(2, 56);
  return data;
}

function programHeader(type: number, offset: number, bytes: number): Buffer {
  const data = Buffer.alloc(PROGRAM_HEADER);
  data.writeUInt32LE(type, 0);
  for (const [at, value] of [
    [8, offset],
    [16, ADDRESS + offset],
    [24, ADDRESS + offset],
    [32, bytes],
    [40, bytes],
  ] as const)
    data.writeBigUInt64LE(BigInt(value), at);
  return data;
}

/** Verdef and its one Verdaux. */
function definition(text: number, hasNext: boolean): Buffer {
  const data = Buffer.alloc(VERDEF + VERDAUX);
  data.writeUInt16LE(1, 0);
  data.writeUInt16LE(1, 6);
  data.writeUInt32LE(VERDEF, 12);
  data.writeUInt32LE(hasNext ? VERDEF + VERDAUX : 0, 16);
  data.writeUInt32LE(text, VERDEF);
  return data;
}
