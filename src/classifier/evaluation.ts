/** How good a classifier is on labelled examples. */
import { encodeExamples, scoreTask, type Example, type Score, type Task } from '../data/index.ts';
import { KdxError } from '../errors/index.ts';
import type { Classifier, ClassifierSource } from './classifier.ts';
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
  const { source } = classifier;
  checkLabels(source, task, ['evaluate it on the task that it was trained for']);
  const maxLength = options.maxLength ?? Math.min(evaluationLength, classifier.maxLength);
  const encoded = encodeExamples(source.tokenizer, examples, maxLength);
  const logits = await classifier.logits(encoded, { ...options, maxLength });
  return scoreTask(task, logits.data, encoded.labels);
}

/**
 * Whether a classifier answers the task's question: its kind, the number of labels, and their order where both sides use
 * the same names. Names of its own are taken in the order of the task's labels.
 * @throws KdxError `label-mismatch`
 */
export function checkLabels(
  { ref, config }: Pick<ClassifierSource, 'ref' | 'config'>,
  task: Task,
  suggestions: readonly string[],
): void {
  const fail = (message: string) => {
    throw new KdxError('label-mismatch', message, { suggestions });
  };
  const kind = config.problemType === 'regression' ? 'regression' : 'classification';
  if (kind !== task.kind) fail(`${ref} is for ${kind}, the task ${task.name} is ${task.kind}`);
  const list = config.labels.join(', ');
  if (config.labels.length !== task.outputs)
    fail(`${ref} has ${config.labels.length} labels (${list}), ${task.name} has ${task.outputs}`);
  const places = config.labels.map((label) => task.labels.findIndex((name) => sameName(name, label)));
  if (task.kind === 'classification' && places.some((place, id) => place >= 0 && place !== id))
    fail(`the labels of ${ref} are ${list}, those of ${task.name} are ${task.labels.join(', ')}: another order`);
}

function sameName(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase();
}
