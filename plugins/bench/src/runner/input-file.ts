/** inputs.json: what the models read in every cell, each tensor once. */
import { numbersOf } from 'kdx/graph';
import type { ReaderInputs } from '../cell-inputs.ts';

export interface InputFile {
  readonly tensors: readonly PackedTensor[];
  /** By cell, model, turn and name of the input: places among the tensors. */
  readonly cells: readonly (readonly (readonly Readonly<Record<string, number>>[])[])[];
}

interface PackedTensor {
  readonly dims: readonly number[];
  readonly data: readonly number[];
}

/** @param cells of each, its models in their order */
export function packInputs(cells: readonly (readonly ReaderInputs[])[]): InputFile {
  const tensors: PackedTensor[] = [];
  const places = new Map<string, number>();
  const place = (tensor: PackedTensor): number => {
    const key = JSON.stringify(tensor);
    const known = places.get(key);
    if (known !== undefined) return known;
    places.set(key, tensors.length);
    return tensors.push(tensor) - 1;
  };
  const packed = cells.map((models) =>
    models.map(({ feeds }) =>
      feeds.map((inputs) =>
        Object.fromEntries(
          Object.entries(inputs).map(([name, value]) => [
            name,
            place({ dims: value.dims, data: Array.from(numbersOf(value)) }),
          ]),
        ),
      ),
    ),
  );
  return { tensors, cells: packed };
}
