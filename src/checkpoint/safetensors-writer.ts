/** Writes safetensors files: same tensors in the same order, same bytes. */
import { internal } from '../errors/index.ts';
import { writeFileAtomic } from '../files/index.ts';
import type { Tensor } from '../graph/index.ts';
import { bytesOf } from '../graph/index.ts';
import { maxJsonBytes } from './json.ts';
import { lengthBytes, safetensorsNames } from './safetensors-header.ts';

/** Replaced whole or not at all; tensors are written in map order without gaps. Transformers needs `format: 'pt'`. */
export async function writeSafetensors(
  path: string,
  tensors: ReadonlyMap<string, Tensor>,
  metadata: Readonly<Record<string, string>> = { format: 'pt' },
): Promise<void> {
  const header = encodeHeader(tensors, metadata);
  await writeFileAtomic(
    path,
    (function* () {
      yield header;
      for (const value of tensors.values()) yield bytesOf(value);
    })(),
  );
}

/** Length and JSON, padded with spaces so that the data begins at a multiple of 8 bytes. */
function encodeHeader(tensors: ReadonlyMap<string, Tensor>, metadata: Readonly<Record<string, string>>): Uint8Array {
  let offset = 0;
  const members = [`"__metadata__":${JSON.stringify(metadata)}`];
  for (const [name, value] of tensors) {
    const dtype = safetensorsNames.get(value.dtype);
    if (dtype === undefined) throw internal(`safetensors cannot hold ${value.dtype} (${name})`);
    if (name === '__metadata__') throw internal('__metadata__ is no tensor name in safetensors');
    const end = offset + bytesOf(value).byteLength;
    members.push(
      `${JSON.stringify(name)}:${JSON.stringify({ dtype, shape: value.dims, data_offsets: [offset, end] })}`,
    );
    offset = end;
  }
  const json = Buffer.from(`{${members.join(',')}}`);
  const length = Math.ceil(json.byteLength / 8) * 8;
  if (length > maxJsonBytes) throw internal(`a safetensors header of ${length} bytes`);
  const header = Buffer.alloc(lengthBytes + length, ' ');
  header.writeBigUInt64LE(BigInt(length));
  json.copy(header, lengthBytes);
  return header;
}
