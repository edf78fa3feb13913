/** Int8 columns whose products may be cut off, so that a file gives other answers on other processors. */
import { largestPair, LARGEST_SAFE_PAIR } from '../passes/index.ts';
import { matrixSize, type WeightRead } from './weight-reads.ts';

/** Output columns of int8 weights that are multiplied with quantized activations, each stored weight counted once. */
export interface SaturationInspection {
  readonly columns: number;
  /** Those that can saturate on x86 processors without VNNI. */
  readonly saturating: number;
  /** Weights with such columns. */
  readonly weights: readonly string[];
}

/** Undefined where there is no such weight. */
export function inspectSaturation(reads: readonly WeightRead[]): SaturationInspection | undefined {
  const exposed = reads.filter(
    ({ activations, weight: { value } }) =>
      (activations === 'dynamic' || activations === 'static') && value.dtype === 'int8' && value.dims.length === 2,
  );
  const unique = new Map(exposed.map((read) => [read.weight.name, read]));
  if (unique.size === 0) return undefined;
  const counts = [...unique].map(([name, read]) => ({ name, saturating: saturatingColumns(read) }));
  return {
    columns: [...unique.values()].reduce((sum, read) => sum + matrixSize(read)[1], 0),
    saturating: counts.reduce((sum, { saturating }) => sum + saturating, 0),
    weights: counts.filter(({ saturating }) => saturating > 0).map(({ name }) => name),
  };
}

function saturatingColumns(read: WeightRead): number {
  const [rows, columns] = matrixSize(read);
  const codes = read.weight.value.data as Int8Array;
  const column = new Int8Array(rows);
  let count = 0;
  for (let n = 0; n < columns; n++) {
    for (let k = 0; k < rows; k++) column[k] = codes[read.transposed ? n * rows + k : k * columns + n] as number;
    if (largestPair(column) > LARGEST_SAFE_PAIR) count++;
  }
  return count;
}
