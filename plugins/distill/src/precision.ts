/** What there is to know of a precision on a device. */
import type { DeviceKind } from 'kdx/engine';
import type { TrainRecipe } from './recipe/schema.ts';

/** @returns notes for people */
export function precisionNotes(precision: TrainRecipe['precision'], device: DeviceKind): string[] {
  if (precision === 'float32' || device === 'cuda') return [];
  return device === 'cpu'
    ? ['on a CPU float16 products are computed in float32, with casts around them: slower, for trials']
    : ['float16 on WebGPU needs the feature shader-f16 of the adapter'];
}
