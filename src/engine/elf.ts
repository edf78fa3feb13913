/** What a shared library for Linux says of itself in its ELF file: its name, its versions, and the libraries that it needs. */
import { closeSync, openSync, readSync, statSync } from 'node:fs';

/** The dynamic section of a 64-bit little-endian library. */
export interface SharedObject {
  /** DT_SONAME: the name under which others need it. */
  readonly name: string | undefined;
  /** DT_NEEDED: file names of libraries, in the order in which they are looked up. */
  readonly needed: readonly string[];
  /** DT_VERDEF: names of the versions that it defines, its own name first where there are any. */
  readonly versions: readonly string[];
}

/** Values of elf.h (System V ABI, "Object Files" and "Dynamic Linking"; LSB for versions). */
const MAGIC = 0x464c457f;
const CLASS_64 = 2;
const LITTLE_ENDIAN = 1;
const HEADER_BYTES = 64;
const PROGRAM_HEADER_BYTES = 56;
const PT_LOAD = 1;
const PT_DYNAMIC = 2;
const DT_NEEDED = 1;
const DT_STRTAB = 5;
const DT_STRSZ = 10;
const DT_SONAME = 14;
const DT_VERDEF = 0x6ffffffc;
const DT_VERDEFNUM = 0x6ffffffd;
const VERDEF_BYTES = 20;
const VERDAUX_BYTES = 8;
/** No table that is read here is nearly as long; a broken file must not make us read gigabytes. */
const MOST_BYTES = 2 ** 26;

interface Segment {
  readonly type: number;
  readonly offset: number;
  readonly address: number;
  readonly bytes: number;
}

/** Reads a few tables of the file, however large it is. Undefined where it is no such library, or broken. */
export function readSharedObject(path: string): SharedObject | undefined {
  if (!statSync(path, { throwIfNoEntry: false })?.isFile()) return undefined;
  let file: number;
  try {
    file = openSync(path, 'r');
  } catch {
    return undefined;
  }
  try {
    return parse((offset, bytes) => read(file, offset, bytes));
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  } finally {
    closeSync(file);
  }
}

type Reader = (offset: number, bytes: number) => Buffer;

/** @throws RangeError where the file ends before */
function read(file: number, offset: number, bytes: number): Buffer {
  if (bytes > MOST_BYTES) throw new RangeError(`a table of ${bytes} bytes`);
  const data = Buffer.alloc(bytes);
  if (readSync(file, data, 0, bytes, offset) < bytes) throw new RangeError(`no ${bytes} bytes at ${offset}`);
  return data;
}

function parse(at: Reader): SharedObject | undefined {
  const header = at(0, HEADER_BYTES);
  if (header.readUInt32LE(0) !== MAGIC || header[4] !== CLASS_64 || header[5] !== LITTLE_ENDIAN) return undefined;
  const segments = segmentsOf(at(word(header, 32), header.readUInt16LE(56) * PROGRAM_HEADER_BYTES));
  const dynamic = segments.find(({ type }) => type === PT_DYNAMIC);
  if (!dynamic) return undefined;
  const entries = entriesOf(at(dynamic.offset, dynamic.bytes));
  const valueOf = (tag: number) => entries.find((entry) => entry.tag === tag)?.value;

  const [tableAddress, tableBytes] = [valueOf(DT_STRTAB), valueOf(DT_STRSZ)];
  if (tableAddress === undefined || tableBytes === undefined) return undefined;
  const table = at(offsetOf(segments, tableAddress), tableBytes);
  const textAt = (start: number) => {
    const end = table.indexOf(0, start);
    if (start >= table.length || end < 0) throw new RangeError(`no text at ${start}`);
    return table.toString('utf8', start, end);
  };

  const name = valueOf(DT_SONAME);
  const definitions = valueOf(DT_VERDEF);
  return {
    name: name === undefined ? undefined : textAt(name),
    needed: entries.filter(({ tag }) => tag === DT_NEEDED).map(({ value }) => textAt(value)),
    versions:
      definitions === undefined
        ? []
        : versionNames(at, offsetOf(segments, definitions), valueOf(DT_VERDEFNUM) ?? 0).map(textAt),
  };
}

function segmentsOf(table: Buffer): Segment[] {
  return Array.from({ length: table.length / PROGRAM_HEADER_BYTES }, (_, i) => {
    const header = table.subarray(i * PROGRAM_HEADER_BYTES);
    return {
      type: header.readUInt32LE(0),
      offset: word(header, 8),
      address: word(header, 16),
      bytes: word(header, 32),
    };
  });
}

function entriesOf(table: Buffer): { readonly tag: number; readonly value: number }[] {
  const entries = Array.from({ length: Math.floor(table.length / 16) }, (_, i) => ({
    tag: word(table, i * 16),
    value: word(table, i * 16 + 8),
  }));
  const end = entries.findIndex(({ tag }) => tag === 0);
  return end < 0 ? entries : entries.slice(0, end);
}

/** Where in the file the memory at an address comes from. */
function offsetOf(segments: readonly Segment[], address: number): number {
  const holds = ({ type, address: start, bytes }: Segment) =>
    type === PT_LOAD && address >= start && address < start + bytes;
  const segment = segments.find(holds);
  if (!segment) throw new RangeError(`address ${address} is not in the file`);
  return address - segment.address + segment.offset;
}

/** Places in the string table: each definition is a Verdef, its first name a Verdaux, both linked by distances. */
function versionNames(at: Reader, start: number, count: number): number[] {
  const names: number[] = [];
  let offset = start;
  while (names.length < count) {
    const definition = at(offset, VERDEF_BYTES);
    names.push(at(offset + definition.readUInt32LE(12), VERDAUX_BYTES).readUInt32LE(0));
    const distance = definition.readUInt32LE(16);
    if (distance === 0) break;
    offset += distance;
  }
  return names;
}

function word(data: Buffer, offset: number): number {
  return Number(data.readBigUInt64LE(offset));
}
