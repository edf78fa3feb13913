/** How good a classifier is on labelled examples. */
import { encodeExamples, scoreTask, type Example, type Score, type Task } from '../data/index.ts';
import { KdxError } from '../errors/index.ts';
import type { Classifier } from './classifier.ts';
import type { LogitsOptions } from './logits.ts';

/** Longest sequence in tokens when none is given: more than nearly every sentence and pair of GLUE has. */
export const evaluationLength = 128;

/**
 * The metrics of a task.
 * @throws KdxError `label-mismatch`, `invalid-logits`
 */
export async function scoreClassifier(
  classifier: Classifier,
  task: Task,
  examples: readonly Example[],
  options: Partial<Pick<LogitsOptions, 'maxLength' | 'progress' | 'signal'>> = {},
): Promise<Score> {
  const { ref, config, tokenizer } = classifier.source;
  if (config.labels.length !== task.outputs)
    throw new KdxError(
      'label-mismatch',
      `${ref} has ${config.labels.length} label(s), ${task.name} has ${task.outputs}`,
      {
        suggestions: ['evaluate it on the task that it was trained for'],
      },
    );
  const maxLength = options.maxLength ?? Math.min(evaluationLength, classifier.maxLength);
  const encoded = encodeExamples(tokenizer, examples, maxLength);
  const logits = await classifier.logits(encoded, { ...options, maxLength });
  return scoreTask(task, logits.data, encoded.labels);
}
