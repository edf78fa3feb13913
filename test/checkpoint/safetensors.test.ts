/** safetensors: what is written is read, and no lie in a file is believed. */
import assert from 'node:assert/strict';
import { readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { readSafetensors, readSafetensorsHeader, writeSafetensors } from '../../src/checkpoint/index.ts';
import { KdxError } from '../../src/errors/index.ts';
import type { Tensor } from '../../src/graph/index.ts';
import { tensor, tensorOf } from '../../src/graph/index.ts';
import { temporaryFolder } from './temporary-folder.ts';

function fileOf(header: string, data = 0, claimed = Buffer.byteLength(header)): Buffer {
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(claimed));
  return Buffer.concat([length, Buffer.from(header), Buffer.alloc(data)]);
}

function entry(begin: number, end: number, shape: unknown = [(end - begin) / 4], dtype = 'F32'): string {
  return JSON.stringify({ dtype, shape, data_offsets: [begin, end] });
}

test('every dtype survives a round trip in insertion order', async (t) => {
  const path = join(await temporaryFolder(t), 'x.safetensors');
  const tensors = new Map<string, Tensor>([
    ['z', tensorOf('float32', [2, 3], [1, -2, 3.5, 0, 1e-40, Infinity])],
    ['bool', tensorOf('bool', [3], [1, 0, 1])],
    ['f64', tensorOf('float64', [1], [Math.PI])],
    ['f16', tensor('float16', [2], Uint16Array.of(0x3c00, 0x8001))],
    ['bf16', tensor('bfloat16', [1], Uint16Array.of(0x3f80))],
    ['10', tensorOf('int64', [2], [-5, 2 ** 40])],
    ['9', tensorOf('int32', [], [7])],
    ['i16', tensorOf('int16', [1], [-3])],
    ['i8', tensorOf('int8', [3], [-128, 0, 127])],
    ['u8', tensorOf('uint8', [0, 4], [])],
    ['__proto__', tensorOf('uint8', [1], [255])],
  ]);
  await writeSafetensors(path, tensors, { note: 'ü' });
  const read = await readSafetensors(path);
  assert.deepEqual([...read.tensors.keys()].sort(), [...tensors.keys()].sort());
  assert.deepEqual(read.tensors, tensors);
  assert.deepEqual({ ...read.metadata }, { note: 'ü' });

  const { entries, dataStart } = await readSafetensorsHeader(path);
  assert.equal(dataStart % 8, 0);
  const byOffset = [...entries].sort((a, b) => a.begin - b.begin || a.end - b.end).map(({ name }) => name);
  assert.deepEqual(byOffset, [...tensors.keys()]);
});

test('the same tensors give the same bytes, marked for Transformers, and no temporary file stays', async (t) => {
  const dir = await temporaryFolder(t);
  const tensors = new Map([['w', tensorOf('float32', [2], [1, 2])]]);
  await writeSafetensors(join(dir, 'a'), tensors);
  await writeSafetensors(join(dir, 'b'), tensors);
  const bytes = await readFile(join(dir, 'a'));
  assert.deepEqual(bytes, await readFile(join(dir, 'b')));
  const length = Number(bytes.readBigUInt64LE());
  assert.equal(
    bytes
      .subarray(8, 8 + length)
      .toString()
      .trimEnd(),
    '{"__metadata__":{"format":"pt"},"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}',
  );
  assert.deepEqual((await readdir(dir)).sort(), ['a', 'b']);
});

test('a file of header only is valid', async (t) => {
  const path = join(await temporaryFolder(t), 'empty');
  await writeFile(path, fileOf('{}'));
  assert.deepEqual(await readSafetensors(path), { tensors: new Map(), metadata: {} });
});

const broken: Readonly<Record<string, readonly [file: Buffer, says: RegExp]>> = {
  'an empty file': [Buffer.alloc(0), /has 0 bytes/],
  'a file cut in its length': [Buffer.alloc(5), /has 5 bytes/],
  'a header longer than the file': [fileOf('{}', 0, 1000), /claims 1000 bytes, but the file has 10/],
  'a header of 2^64-1 bytes': [Buffer.alloc(64, 255), /claims 18446744073709551615 bytes/],
  'a header that is not JSON': [fileOf('{"a":'), /not JSON/],
  'a header that is not UTF-8': [Buffer.from([1, 0, 0, 0, 0, 0, 0, 0, 0xff]), /not JSON/],
  'a header that is an array': [fileOf('[]'), /not a JSON object/],
  'a tensor twice': [fileOf(`{"a":${entry(0, 4)},"a":${entry(4, 8)}}`, 8), /key "a" twice/],
  'a tensor twice, spelled differently': [fileOf(`{"a":${entry(0, 4)},"\\u0061":${entry(4, 8)}}`, 8), /key "a" twice/],
  'a tensor that is no object': [fileOf('{"a":3}'), /tensor a/],
  'an end after the file': [fileOf(`{"a":${entry(0, 16)}}`, 8), /tensor a ends at byte 16 .* only 8/],
  'a begin after the end': [fileOf(`{"a":${entry(8, 4, [])}}`, 8), /tensor a ends \(4\) before it begins \(8\)/],
  'a negative offset': [fileOf(`{"a":${entry(-4, 0, [1])}}`, 8), /tensor a has data_offsets/],
  'an offset past 2^53': [fileOf(`{"a":${entry(0, 2 ** 60, [1])}}`, 8), /tensor a has data_offsets/],
  'a fractional offset': [fileOf(`{"a":${entry(0, 0.5, [1])}}`, 8), /tensor a has data_offsets/],
  'three offsets': [fileOf('{"a":{"dtype":"F32","shape":[],"data_offsets":[0,4,4]}}', 4), /tensor a has data_offsets/],
  'a negative dimension': [fileOf(`{"a":${entry(0, 4, [-1, -1])}}`, 4), /tensor a has shape \[-1,-1\]/],
  'a shape that is no list': [fileOf(`{"a":${entry(0, 4, '1')}}`, 4), /tensor a has shape "1"/],
  'a shape that does not fit': [fileOf(`{"a":${entry(0, 8, [3])}}`, 8), /tensor a is F32 \[3\].* 12 bytes, but has 8/],
  'a shape whose product overflows': [
    fileOf(`{"a":${entry(0, 0, [2 ** 32, 2 ** 32, 2 ** 32])}}`),
    /tensor a is F32 \[4294967296/,
  ],
  'tensors that overlap': [fileOf(`{"a":${entry(0, 8)},"b":${entry(4, 12)}}`, 12), /tensors a and b overlap/],
  'one tensor inside another': [fileOf(`{"b":${entry(4, 8)},"a":${entry(0, 12)}}`, 12), /tensors a and b overlap/],
  'a hole before': [fileOf(`{"a":${entry(4, 8)}}`, 8), /4 bytes between the header and tensor a/],
  'a hole between': [fileOf(`{"a":${entry(0, 4)},"b":${entry(8, 12)}}`, 12), /between a and tensor b/],
  'bytes after the last tensor': [fileOf(`{"a":${entry(0, 4)}}`, 8), /last 4 bytes, after a/],
  'a file cut in its data': [
    fileOf(`{"a":${entry(0, 4)},"b":${entry(4, 12)}}`, 9),
    /tensor b ends at byte 12 .* only 9/,
  ],
  'metadata that are not strings': [fileOf('{"__metadata__":{"a":1}}'), /__metadata__/],
};

for (const [what, [file, says]] of Object.entries(broken))
  test(`refused: ${what}`, async (t) => {
    const path = join(await temporaryFolder(t), 'broken.safetensors');
    await writeFile(path, file);
    for (const read of [readSafetensors, readSafetensorsHeader])
      await assert.rejects(read(path), (error: unknown) => {
        assert.ok(error instanceof KdxError, String(error));
        assert.equal(error.code, 'corrupt-safetensors');
        assert.equal(error.exitCode, 2);
        assert.match(error.message, says);
        assert.ok(error.message.includes(path));
        return true;
      });
  });

test('a header over 100 MB is refused before it is read', async (t) => {
  const path = join(await temporaryFolder(t), 'long');
  await writeFile(path, fileOf('', 0, 100_000_001));
  await assert.rejects(readSafetensors(path), /claims 100000001 bytes, the most allowed is 100000000/);
});

test('an unknown dtype and a missing file have codes of their own', async (t) => {
  const dir = await temporaryFolder(t);
  await writeFile(join(dir, 'f8'), fileOf(`{"a":${entry(0, 4, [4], 'F8_E4M3')}}`, 4));
  await assert.rejects(readSafetensors(join(dir, 'f8')), { code: 'unsupported-dtype', message: /tensor a .*F8_E4M3/ });
  await assert.rejects(readSafetensors(join(dir, 'none')), { code: 'file-not-found' });
  await assert.rejects(readSafetensors(dir), { code: 'not-a-file' });
});
