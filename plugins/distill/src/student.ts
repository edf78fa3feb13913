/** Students: their configuration, and their first weights. */
import { loadCheckpoint, type BertConfig, type Checkpoint } from 'kdx/checkpoint';
import { randomStream } from 'kdx/data';
import { KdxError, internal } from 'kdx/errors';
import type { Tensor } from 'kdx/graph';
import { classifierParameters, fromCheckpoint, initialValue, plainPlan, type Parameter } from 'kdx/nn';
import type { StudentRecipe } from 'kdx/recipe';

export type Parameters = ReadonlyMap<string, Tensor<'float32'>>;

export interface Student {
  readonly config: BertConfig;
  /** Initial values in graph layout. */
  readonly parameters: Parameters;
  /** For people: where the weights come from. */
  readonly origin: string;
}

/** Layers of a source of the given depth, evenly spread, the last one among them: 3 of 6 are 1, 3, 5. */
export function spreadLayers(count: number, depth: number): number[] {
  return Array.from({ length: count }, (_, i) => Math.round(((i + 1) * depth) / count) - 1);
}

/**
 * A student by its shape: what is not given is the teacher's.
 * @throws KdxError `invalid-student`
 */
export async function buildStudent(recipe: StudentRecipe, teacher: Checkpoint, seed: number): Promise<Student> {
  const config = studentConfig(recipe, teacher.config);
  const { init } = recipe;
  if (init.from === 'random')
    return { config, parameters: initialize(config, new Map(), seed), origin: 'random weights' };
  const source = init.from === 'pretrained' ? await loadCheckpoint(init.model as string) : teacher;
  checkSameShape(config, source);
  const depth = source.config.layerPlan.length;
  const layers = init.layers ?? spreadLayers(recipe.layers, depth);
  const outside = layers.find((layer) => layer >= depth);
  if (outside !== undefined || recipe.layers > depth)
    throw new KdxError(
      'invalid-student',
      outside === undefined
        ? `the student has ${recipe.layers} layers, its source ${source.dir} only ${depth}`
        : `layer ${outside} is not in ${source.dir}, which has layers 0 to ${depth - 1}`,
      { suggestions: ['choose fewer layers (--student layers=N), or --set student.init.from=random'] },
    );
  const plan = source.config.layerPlan;
  const renamed = takeLayers(
    weightsFor(config, source),
    layers.map((layer) => plan[layer] as number),
  );
  return {
    config,
    parameters: initialize(config, renamed, seed),
    origin: `layers ${layers.join(', ')} of ${init.from === 'teacher' ? 'the teacher' : source.dir}`,
  };
}

/** A student that is a checkpoint already; a missing pooler or head is drawn from the seed. */
export function studentFromCheckpoint(checkpoint: Checkpoint, labels: readonly string[], seed: number): Student {
  const config = withLabels(checkpoint.config, labels);
  return { config, parameters: initialize(config, weightsFor(config, checkpoint), seed), origin: checkpoint.dir };
}

/** Weights of a checkpoint, without a head for another number of labels. */
function weightsFor({ labels }: BertConfig, source: Checkpoint): Parameters {
  if (source.config.labels.length === labels.length) return source.weights;
  return new Map([...source.weights].filter(([name]) => !name.startsWith('classifier.')));
}

/** The configuration of a classifier with other labels; no labels: regression. */
export function withLabels(config: BertConfig, labels: readonly string[]): BertConfig {
  return labels.length === 0
    ? { ...config, labels: ['score'], problemType: 'regression' }
    : { ...config, labels, problemType: 'single_label_classification' };
}

function studentConfig(recipe: StudentRecipe, teacher: BertConfig): BertConfig {
  const hiddenSize = recipe.hidden ?? teacher.hiddenSize;
  const heads = recipe.heads ?? teacher.heads;
  if (hiddenSize % heads !== 0)
    throw new KdxError('invalid-student', `${heads} heads do not divide a hidden size of ${hiddenSize}`, {
      suggestions: [`--student layers=${recipe.layers},hidden=${hiddenSize},heads=N with N dividing ${hiddenSize}`],
    });
  const ratio = teacher.intermediateSize / teacher.hiddenSize;
  return {
    ...teacher,
    layers: recipe.layers,
    layerPlan: plainPlan(recipe.layers),
    hiddenSize,
    heads,
    intermediateSize: recipe.intermediate ?? Math.round(hiddenSize * ratio),
  };
}

function checkSameShape(config: BertConfig, source: Checkpoint): void {
  const keys = ['vocabSize', 'hiddenSize', 'heads', 'intermediateSize', 'maxPositions', 'typeVocabSize'] as const;
  const different = keys.filter((key) => config[key] !== source.config[key]);
  if (different.length === 0) return;
  const list = different.map((key) => `${key} ${config[key]} (student) and ${source.config[key]} (${source.dir})`);
  throw new KdxError('invalid-student', `layers cannot be copied between different shapes: ${list.join(', ')}`, {
    suggestions: [
      '--set student.init.from=random',
      "or give a pretrained checkpoint of the student's shape as --student DIR",
    ],
  });
}

/** Weights with the chosen layers numbered from 0. */
function takeLayers(weights: Parameters, layers: readonly number[]): Map<string, Tensor<'float32'>> {
  const taken = new Map<string, Tensor<'float32'>>();
  for (const [name, value] of weights) {
    const match = /^bert\.encoder\.layer\.(\d+)\.(.*)$/.exec(name);
    if (!match) taken.set(name, value);
    else
      layers.forEach(
        (layer, i) => layer === Number(match[1]) && taken.set(`bert.encoder.layer.${i}.${match[2]}`, value),
      );
  }
  return taken;
}

/** Every parameter of a classifier: from checkpoint weights where they exist, from the seed otherwise. */
export function initialize(config: BertConfig, weights: Parameters, seed: number): Parameters {
  const parameter = (p: Parameter): Tensor<'float32'> => {
    const value = weights.get(p.name);
    if (value) return fromCheckpoint(p, value);
    return initialValue(p, config.initializerRange, normalSource(seed, p.name));
  };
  return new Map(classifierParameters(config, config.labels.length).map((p) => [p.name, parameter(p)]));
}

/** Box and Muller's transform, a stream of its own for each parameter. */
function normalSource(seed: number, name: string): () => number {
  const random = randomStream(seed, `initialize ${name}`);
  return () => {
    const radius = Math.sqrt(-2 * Math.log(1 - random.nextFloat()));
    const value = radius * Math.cos(2 * Math.PI * random.nextFloat());
    if (!Number.isFinite(value)) throw internal('a normal draw is not finite');
    return value;
  };
}
