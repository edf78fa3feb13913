/** The golden BERT of fixtures/golden: its architecture, parameters as graphs hold them, inputs and values. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { readSafetensors } from '../../src/checkpoint/safetensors-reader.ts';
import { tensorOf, type Tensor } from '../../src/graph/index.ts';
import { fromCheckpoint, plainPlan, type BertArchitecture, type Parameter } from '../../src/nn/index.ts';

const folder = fileURLToPath(new URL('../../fixtures/golden/bert/', import.meta.url));

export const goldenArchitecture: BertArchitecture = {
  vocabSize: 97,
  hiddenSize: 24,
  heads: 4,
  intermediateSize: 40,
  activation: 'gelu',
  maxPositions: 24,
  typeVocabSize: 2,
  layerNormEps: 1e-12,
  initializerRange: 0.02,
  hiddenDropout: 0,
  attentionDropout: 0,
  classifierDropout: 0,
  layerPlan: plainPlan(3),
};

interface GoldenValues {
  inputs: Record<'inputIds' | 'attentionMask' | 'tokenTypeIds' | 'teacherLogits', number[][]> &
    Record<'labels' | 'targets' | 'exampleWeights', number[]>;
  crossEntropy: { loss: number; weightedLoss: number };
  distillation: { temperature: number; alpha: number; loss: number };
  regression: { loss: number };
  adamw: {
    betas: [number, number];
    epsilon: number;
    weightDecay: number;
    maxGradientNorm: number;
    rates: number[];
    losses: number[];
    gradientNorms: number[];
  };
}

export const golden = JSON.parse(readFileSync(`${folder}values.json`, 'utf8')) as GoldenValues;

/** Tensors of one golden file, such as `gradient`. */
export async function goldenTensors(file: string): Promise<Map<string, Tensor<'float32'>>> {
  return (await readSafetensors(`${folder}${file}.safetensors`)).tensors as Map<string, Tensor<'float32'>>;
}

export function graphTensor(tensors: ReadonlyMap<string, Tensor<'float32'>>, parameter: Parameter): Tensor<'float32'> {
  const value = tensors.get(parameter.name);
  if (!value) throw new Error(`no golden ${parameter.name}`);
  return fromCheckpoint(parameter, value);
}

/** Batch inputs under the names that graphs use; labels are class ids. */
export function goldenBatch(): Map<string, Tensor> {
  const matrix = (rows: number[][]) => tensorOf('int64', [rows.length, rows[0]?.length ?? 0], rows.flat());
  const { inputIds, attentionMask, tokenTypeIds, labels } = golden.inputs;
  return new Map<string, Tensor>([
    ['input_ids', matrix(inputIds)],
    ['attention_mask', matrix(attentionMask)],
    ['token_type_ids', matrix(tokenTypeIds)],
    ['labels', tensorOf('int64', [labels.length], labels)],
    [
      'weights',
      tensorOf(
        'float32',
        [labels.length],
        labels.map(() => 1),
      ),
    ],
  ]);
}

/** Largest absolute difference. */
export function distance(a: Tensor, b: Tensor): number {
  const [left, right] = [a.data as Float32Array, b.data as Float32Array];
  if (left.length !== right.length) return Infinity;
  return left.reduce((max, value, i) => Math.max(max, Math.abs(value - (right[i] as number))), 0);
}
