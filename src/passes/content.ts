/** When two tensors hold the same bits, as they are or in another order. */
import { sha256 } from '../files/index.ts';
import { bytesOf, dtypeBits, elementCount, type Tensor } from '../graph/index.ts';

/** Bytes that a tensor takes in a file; strings in UTF-8. */
export function storedBytes(value: Tensor): number {
  if (value.dtype !== 'string') return bytesOf(value).byteLength;
  return (value as Tensor<'string'>).data.reduce((sum, text) => sum + Buffer.byteLength(text), 0);
}

/** Equal for tensors of one dtype with the same bits in the same order, whatever the shape: -0 is not 0. */
export function contentKey(value: Tensor): string {
  return `${value.dtype} ${sha256(value.dtype === 'string' ? JSON.stringify(value.data) : bytesOf(value))}`;
}

/** Whether `permutation` can look at the elements: whole bytes each. */
export function hasWholeBytes({ dtype }: Tensor): boolean {
  return dtype !== 'string' && dtypeBits[dtype] >= 8;
}

/** Equal for tensors with the same elements in any order; different ones are equal by chance only. */
export function elementsKey(value: Tensor): string {
  const { words, width } = wordsOf(value);
  let sum = 0;
  for (let i = 0; i < words.length; i += width) {
    let mixed = 0;
    for (let j = 0; j < width; j++) mixed = scramble(mixed ^ (words[i + j] as number));
    sum = (sum + mixed) | 0;
  }
  return `${value.dtype} ${elementCount(value.dims)} ${sum}`;
}

/** Finalizer of MurmurHash3. */
function scramble(word: number): number {
  word = Math.imul(word ^ (word >>> 16), 0x85ebca6b);
  word = Math.imul(word ^ (word >>> 13), 0xc2b2ae35);
  return word ^ (word >>> 16);
}

/** Ranks beyond have too many permutations. */
const highestRank = 4;

/** The `perm` with which Transpose makes `value` from `base`, if there is one. */
export function permutation(base: Tensor, value: Tensor): readonly number[] | undefined {
  if (base.dims.length !== value.dims.length || base.dims.length > highestRank) return undefined;
  return permutations(base.dims.map((_, axis) => axis)).find(
    (perm) => perm.every((axis, i) => base.dims[axis] === value.dims[i]) && isTransposed(base, value, perm),
  );
}

function permutations(axes: readonly number[]): number[][] {
  if (axes.length === 0) return [[]];
  return axes.flatMap((axis) => permutations(axes.filter((other) => other !== axis)).map((rest) => [axis, ...rest]));
}

function isTransposed(base: Tensor, value: Tensor, perm: readonly number[]): boolean {
  const { words: from, width } = wordsOf(base);
  const { words: to } = wordsOf(value);
  const strides = base.dims.map((_, axis) => width * elementCount(base.dims.slice(axis + 1)));
  let at = 0;
  const isEqual = (axis: number, start: number): boolean => {
    const stride = strides[perm[axis] as number];
    if (stride === undefined) {
      for (let j = 0; j < width; j++) if (from[start + j] !== to[at++]) return false;
      return true;
    }
    for (let i = 0; i < (value.dims[axis] as number); i++) if (!isEqual(axis + 1, start + i * stride)) return false;
    return true;
  };
  return isEqual(0, 0);
}

const wordTypes = new Map<number, Uint8ArrayConstructor | Uint16ArrayConstructor>([
  [8, Uint8Array],
  [16, Uint16Array],
]);

/** The elements as unsigned words, `width` of them each. */
function wordsOf(value: Tensor) {
  const { buffer, byteOffset, byteLength } = bytesOf(value);
  const bits = value.dtype === 'string' ? 0 : dtypeBits[value.dtype];
  const Words = wordTypes.get(bits) ?? Uint32Array;
  const words = new Words(buffer as ArrayBuffer, byteOffset, byteLength / Words.BYTES_PER_ELEMENT);
  return { words, width: Math.max(1, bits / 32) };
}
