/** Smaller training sets that contain each other. */
import { randomStream } from './random.ts';
import type { Example } from './task-data.ts';
import type { Task } from './tasks.ts';

/**
 * `count` examples chosen by the seed, in their order. A larger count contains the smaller ones; every class has its share
 * at each count.
 */
export function stratifiedSubset(
  examples: readonly Example[],
  { kind }: Pick<Task, 'kind'>,
  count: number,
  seed: number,
): readonly Example[] {
  if (count >= examples.length) return examples;
  const shuffled = randomStream(seed, 'subset').shuffle([...examples]);
  if (kind === 'regression') return inOrder(shuffled.slice(0, count));
  const sizes = new Map<number, number>();
  for (const { label } of shuffled) sizes.set(label, (sizes.get(label) ?? 0) + 1);
  const seen = new Map<number, number>();
  const placed = shuffled.map((example) => {
    const rank = seen.get(example.label) ?? 0;
    seen.set(example.label, rank + 1);
    return { example, place: (rank + 0.5) / (sizes.get(example.label) as number) };
  });
  placed.sort((a, b) => a.place - b.place);
  return inOrder(placed.slice(0, count).map(({ example }) => example));
}

function inOrder(examples: readonly Example[]): readonly Example[] {
  return [...examples].sort((a, b) => a.id - b.id);
}
