/** Where a measured model comes from: whatever kdx opens, random weights, or an ONNX file with nothing beside it. */
import { exportedModel, inputNames, isLetterTokenizer, openSource, type ClassifierSource } from 'kdx/classifier';
import type { Tokenizer } from 'kdx/data';
import { KdxError } from 'kdx/errors';
import type { Graph, Model, ValueInfo } from 'kdx/graph';
import { readModel } from 'kdx/onnx';

export interface BenchSource {
  /** As the user called it. */
  readonly ref: string;
  /** Undefined for a checkpoint. */
  readonly onnxFile: string | undefined;
  /** Undefined for an ONNX file without a configuration and a tokenizer that kdx reads. */
  readonly classifier: ClassifierSource | undefined;
  /** Undefined when texts mean nothing to the model: it reads random ids and has no metric. */
  readonly tokenizer: Tokenizer | undefined;
  /** Longest sequence; undefined when not known. */
  readonly maxPositions: number | undefined;
  model(): Promise<Model>;
}

/** The lack of these makes a file one that is measured with random ids. */
const missing: ReadonlySet<string> = new Set(['not-a-checkpoint', 'missing-tokenizer', 'unsupported-model-type']);

/** @throws KdxError of openSource */
export async function openBenchSource(ref: string): Promise<BenchSource> {
  const classifier = await openSource(ref, { random: true }).catch(async (error: unknown) => {
    const file = /\.onnx$/i.test(ref) ? ref : await exportedModel(ref);
    if (file === undefined || !(error instanceof KdxError) || !missing.has(error.code)) throw error;
    return file;
  });
  if (typeof classifier === 'string') {
    const file = classifier;
    const unknown = { classifier: undefined, tokenizer: undefined, maxPositions: undefined };
    return { ref, onnxFile: file, ...unknown, model: () => readModel(file) };
  }
  const { onnxFile, config } = classifier;
  const isRandom = classifier.isRandom ?? isLetterTokenizer(classifier.tokenizer);
  return {
    ref,
    onnxFile,
    classifier,
    tokenizer: isRandom ? undefined : classifier.tokenizer,
    maxPositions: config.maxPositions,
    model: () => classifier.model(),
  };
}

export interface ModelInput {
  readonly name: string;
  readonly dtype: 'int32' | 'int64';
}

/**
 * What a text classifier reads: some of input_ids, attention_mask and token_type_ids, whole numbers [batch, length].
 * @throws KdxError `not-a-classifier`
 */
export function modelInputs({ inputs }: Pick<Graph, 'inputs'>, ref: string): ModelInput[] {
  const bad = inputs.find(({ name, dtype, shape }) => {
    const isMatrix = shape === undefined || shape.length === 2;
    return !inputNames.includes(name) || !(dtype === 'int32' || dtype === 'int64') || !isMatrix;
  });
  if (bad || inputs.length === 0) {
    const found = bad ? `${bad.name}, ${bad.dtype}${shapeText(bad)}` : 'nothing';
    throw new KdxError('not-a-classifier', `${ref} reads ${found}`, {
      suggestions: [
        `a text classifier reads ${inputNames.join(', ')} (not all are needed), int64 or int32 [batch, length]`,
      ],
    });
  }
  return inputs.map(({ name, dtype }) => ({ name, dtype: dtype as ModelInput['dtype'] }));
}

/**
 * A file exported for one batch or length cannot be run with another.
 * @throws KdxError `fixed-shape`
 */
export function checkShapes(
  graph: Pick<Graph, 'inputs'>,
  ref: string,
  { batch, length }: { batch: number; length: number },
): void {
  for (const input of graph.inputs) {
    if (!inputNames.includes(input.name) || input.shape?.length !== 2) continue;
    const fits = [batch, length].every((size, axis) => {
      const dim = input.shape?.[axis];
      return typeof dim !== 'number' || dim === size;
    });
    if (!fits)
      throw new KdxError(
        'fixed-shape',
        `${ref} takes ${input.name}${shapeText(input)} only, not [${batch}, ${length}]`,
        {
          suggestions: [`--batch ${input.shape[0]} --length ${input.shape[1]}`],
        },
      );
  }
}

/** Number of labels that the graph states; undefined where it does not. */
export function statedLabels({ outputs }: Graph): number | undefined {
  const logits = outputs.find(({ name }) => name === 'logits') ?? outputs[0];
  const labels = logits?.shape?.at(-1);
  return typeof labels === 'number' ? labels : undefined;
}

/** Rows of the table that input_ids are looked up in; undefined when it is not found. */
export function vocabularyRows({ nodes, initializers }: Graph): number | undefined {
  const ids = new Set(['input_ids']);
  for (const { opType, inputs, outputs } of nodes) {
    if (!inputs.some((name) => ids.has(name))) continue;
    if (opType === 'Cast') outputs.forEach((name) => ids.add(name));
    const table = opType.startsWith('Gather') ? initializers.get(inputs[0] ?? '') : undefined;
    if (table) return table.dims[0];
  }
  return undefined;
}

function shapeText({ shape }: ValueInfo): string {
  return shape ? ` [${shape.join(', ')}]` : '';
}
