/** Random inputs for samples of operators. */
import { elementCount, tensorOf, type Tensor } from '../../src/graph/index.ts';
import type { GraphBuilder, Value } from '../../src/ops/index.ts';
import type { seeded } from '../support/seeded.ts';
import type { Draw } from './samples.ts';

/** Each draw is an input of the graph; its tensor goes to `inputs`, and to `variables` if it is of floats. */
export function drawer(
  g: GraphBuilder,
  random: ReturnType<typeof seeded>,
  inputs: Map<string, Tensor>,
): { draw: Draw; variables: Value[] } {
  const variables: Value[] = [];
  const add = (dtype: 'float32' | 'float64' | 'int64' | 'bool', shape: readonly number[], values: number[]) => {
    const value = g.input(`x${inputs.size}`, dtype, shape);
    inputs.set(value.name, tensorOf(dtype, shape, values));
    if (dtype.startsWith('float')) variables.push(value);
    return value;
  };
  const fill = (shape: readonly number[], make: (i: number) => number) =>
    Array.from({ length: elementCount(shape) }, (_, i) => make(i));
  let marks = 0;
  const draw: Draw = {
    value: (shape, low = -1, high = 1) =>
      add(
        g.float,
        shape,
        fill(shape, () => low + (high - low) * random.float()),
      ),
    apart: (shape) =>
      add(
        g.float,
        shape,
        fill(shape, () => (marks++ % 2 === 0 ? 1 : -1) * (0.1 + 0.05 * marks)),
      ),
    indices: (shape, below) =>
      add(
        'int64',
        shape,
        fill(shape, () => random.integer(below)),
      ),
    bool: (shape) =>
      add(
        'bool',
        shape,
        fill(shape, () => random.integer(2)),
      ),
    size: (low = 1, high = 4) => low + random.integer(high - low + 1),
  };
  return { draw, variables };
}
