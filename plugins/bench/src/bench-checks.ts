/** What has to hold of the models of one run, before anything is measured. */
import type { TaskData } from 'kdx/data';
import { KdxError } from 'kdx/errors';
import type { BenchModel } from './bench-model.ts';
import type { BenchSource } from './bench-source.ts';
import type { Length } from './grid.ts';

/**
 * @param length of the combinations
 * @throws KdxError `no-student`, `length-over-positions`
 */
export function checkSources(
  sources: readonly BenchSource[],
  length: readonly Length[],
  maxLength: number | undefined,
): void {
  if (sources.length < 2)
    throw new KdxError('no-student', 'there is no student to compare the teacher with', {
      suggestions: [`kdx bench --teacher ${sources[0]?.ref} --student DIR`],
    });
  const fixed = length.filter((tokens) => tokens !== 'natural');
  const longest = Math.min(...sources.map(({ maxPositions = Infinity }) => maxPositions));
  for (const [flag, tokens] of Object.entries({ '--length': Math.max(0, ...fixed), '--max-length': maxLength ?? 0 }))
    for (const { ref, maxPositions = Infinity } of sources)
      if (tokens > maxPositions)
        throw new KdxError(
          'length-over-positions',
          `${ref} takes at most ${maxPositions} tokens, ${flag} is ${tokens}`,
          {
            suggestions: [`${flag} ${longest}`],
          },
        );
}

/** Of models whose files say how many they have. @throws KdxError `label-mismatch` */
export function checkLabels([teacher, ...students]: readonly BenchModel[], data: TaskData | undefined): void {
  const expected = teacher?.labels;
  if (teacher === undefined || expected === undefined) return;
  for (const { facts, labels } of students)
    if (labels !== undefined && labels !== expected)
      throw new KdxError(
        'label-mismatch',
        `${teacher.facts.ref} has ${expected} label(s), ${facts.ref} has ${labels}`,
        { suggestions: ['compare models of the same task'] },
      );
  if (data && expected !== data.task.outputs)
    throw new KdxError(
      'label-mismatch',
      `${teacher.facts.ref} has ${expected} label(s), ${data.task.name} has ${data.task.outputs}`,
      { suggestions: ['give the data of the task that the models were trained for'] },
    );
}
