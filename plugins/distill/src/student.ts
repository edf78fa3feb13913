/** Students: their configuration, and their first weights. */
import {
  distilBertFixed,
  loadCheckpoint,
  unshare,
  type BertConfig,
  type Checkpoint,
  type Weights,
} from 'kdx/checkpoint';
import { normalSource, randomStream, type Task } from 'kdx/data';
import { KdxError } from 'kdx/errors';
import type { Tensor } from 'kdx/graph';
import {
  checkpointShape,
  familyTraits,
  fromCheckpoint,
  initialValue,
  plainPlan,
  type Family,
  type Parameter,
} from 'kdx/nn';
import type { StudentRecipe } from './recipe/student-schema.ts';
import { sharedPlan } from './sharing.ts';

/** A model to be trained: what is missing among its weights is drawn from the seed when a stage needs it. */
export interface Student {
  readonly config: BertConfig;
  /** In checkpoint layout; what goes along with the model (a masked-language head, projections) is among them. */
  readonly weights: Weights;
  /** For people: where the weights come from. */
  readonly origin: string;
}

/** Layers of a source of the given depth, counted from 0. */
export function chosenLayers(strategy: 'spread' | 'first' | 'ends', count: number, depth: number): number[] {
  const of = {
    spread: (i: number) => Math.round(((i + 1) * depth) / count) - 1,
    first: (i: number) => i,
    ends: (i: number) => (count === 1 ? depth - 1 : Math.round((i * (depth - 1)) / (count - 1))),
  };
  return Array.from({ length: count }, (_, i) => of[strategy](i));
}

/**
 * A student by its shape: what is not given is the teacher's.
 * @throws KdxError `invalid-student`
 */
export async function buildStudent(recipe: StudentRecipe, teacher: Checkpoint): Promise<Student> {
  const config = studentConfig(recipe, teacher.config);
  const { init } = recipe;
  if (init.from === 'random') return { config, weights: new Map(), origin: 'random weights' };
  const given = init.from === 'pretrained' ? await loadCheckpoint(init.model as string) : teacher;
  // Layers are taken by depth: one that is shared there is one of its own here.
  const source = { ...given, ...unshare(given) };
  checkSameShape(config, source);
  const depth = source.config.layers;
  const choice = init.layers ?? 'spread';
  const layers = typeof choice === 'string' ? chosenLayers(choice, recipe.layers, depth) : choice;
  const outside = layers.find((layer) => layer >= depth);
  if (outside !== undefined || recipe.layers > depth)
    throw new KdxError(
      'invalid-student',
      outside === undefined
        ? `the student has ${recipe.layers} layers, its source ${source.dir} only ${depth}`
        : `layer ${outside} is not in ${source.dir}, which has layers 0 to ${depth - 1}`,
      { suggestions: ['choose fewer layers (--student layers=N), or --set student.init.from=random'] },
    );
  return {
    config,
    weights: takeLayers(withoutTypes(config, weightsFor(config, source), init.tokenTypes), layers),
    origin: `layers ${layers.join(', ')} of ${init.from === 'teacher' ? 'the teacher' : source.dir}`,
  };
}

/** A student that is a checkpoint already; for a task it gets the head of that task. */
export function studentFromCheckpoint(checkpoint: Checkpoint, task?: Pick<Task, 'labels'>): Student {
  const config = task ? withLabels(checkpoint.config, task.labels) : checkpoint.config;
  return { config, weights: weightsFor(config, checkpoint), origin: checkpoint.dir };
}

/** Weights of a checkpoint with what it carries along, without a head for another number of labels. */
function weightsFor({ labels }: BertConfig, source: Checkpoint): Weights {
  const carried = [...source.extra].filter(
    (entry): entry is [string, Tensor<'float32'>] => /^fit_denses?\./.test(entry[0]) && entry[1].dtype === 'float32',
  );
  const all = new Map([...source.weights, ...carried]);
  if (source.config.labels.length !== labels.length) for (const name of headNames(all)) all.delete(name);
  return all;
}

/** Names of the classification head among weights. */
export function headNames(weights: Weights): string[] {
  return [...weights.keys()].filter((name) => name.startsWith('classifier.'));
}

/** The configuration of a classifier with other labels; no labels: regression. */
export function withLabels(config: BertConfig, labels: readonly string[]): BertConfig {
  return labels.length === 0
    ? { ...config, labels: ['score'], problemType: 'regression' }
    : { ...config, labels, problemType: 'single_label_classification' };
}

/** For a student without token types: the weights without their table. */
function withoutTypes(config: BertConfig, weights: Weights, rule: StudentRecipe['init']['tokenTypes']): Weights {
  const types = weights.get('bert.embeddings.token_type_embeddings.weight');
  if (config.typeVocabSize > 0 || !types) return weights;
  const rest = new Map(weights);
  rest.delete('bert.embeddings.token_type_embeddings.weight');
  if (rule === 'drop') return rest;
  const name = 'bert.embeddings.position_embeddings.weight';
  const positions = weights.get(name) as Tensor<'float32'>;
  const width = config.hiddenSize;
  const data = positions.data.map((value, i) => value + (types.data[i % width] as number));
  return rest.set(name, { ...positions, data });
}

function studentConfig(recipe: StudentRecipe, teacher: BertConfig): BertConfig {
  const hiddenSize = recipe.hidden ?? teacher.hiddenSize;
  const heads = recipe.heads ?? teacher.heads;
  if (hiddenSize % heads !== 0)
    throw new KdxError('invalid-student', `${heads} heads do not divide a hidden size of ${hiddenSize}`, {
      suggestions: [`--student layers=${recipe.layers},hidden=${hiddenSize},heads=N with N dividing ${hiddenSize}`],
    });
  const family = recipe.family ?? teacher.family ?? 'bert';
  const own = teacher.family ?? 'bert';
  if (!canBecome(own, family))
    throw new KdxError('invalid-student', notMade(family, own), {
      suggestions: [`--set student.family=${own}`, 'or take --student DIR with a checkpoint'],
    });
  const ratio = teacher.intermediateSize / teacher.hiddenSize;
  const { layerPlan, swappedDepths } = recipe.sharing
    ? sharedPlan(recipe.layers, recipe.sharing)
    : { layerPlan: plainPlan(recipe.layers), swappedDepths: [] };
  return {
    ...teacher,
    ...(family !== own && distilBert),
    layers: layerPlan.length,
    layerPlan,
    swappedDepths,
    hiddenSize,
    heads,
    intermediateSize: recipe.intermediate ?? Math.round(hiddenSize * ratio),
  };
}

/** Whether the layers and tables of one family can be those of another. */
function canBecome(from: Family, to: Family): boolean {
  return from === to || (from === 'bert' && to === 'distilbert');
}

function notMade(to: Family, from: Family): string {
  const name = (family: Family) => familyTraits({ family }).name;
  return `a student that is a ${name(to)} cannot be made of a ${name(from)}: their embeddings and heads differ`;
}

/** What a DistilBERT has other than the BERT that it is made of. */
const distilBert = { ...distilBertFixed, family: 'distilbert', classifierDropout: 0.2 } as const;

function checkSameShape(config: BertConfig, source: Checkpoint): void {
  const [family, own] = [config.family ?? 'bert', source.config.family ?? 'bert'];
  if (!canBecome(own, family))
    throw new KdxError('invalid-student', `${source.dir}: ${notMade(family, own)}`, {
      suggestions: [`give a ${familyTraits(config).name} as student.init.model`],
    });
  const keys = [
    'vocabSize',
    'hiddenSize',
    'heads',
    'intermediateSize',
    'maxPositions',
    'firstPosition',
    'typeVocabSize',
  ] as const;
  const different = keys.filter(
    (key) => config[key] !== source.config[key] && !(key === 'typeVocabSize' && config[key] === 0),
  );
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
function takeLayers(weights: Weights, layers: readonly number[]): Weights {
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

/**
 * Values of parameters in graph layout: from weights in checkpoint layout where they are there in the right shape, from
 * the seed otherwise.
 */
export function initialize(
  parameters: readonly Parameter[],
  weights: Weights,
  { initializerRange }: Pick<BertConfig, 'initializerRange'>,
  seed: number,
): Map<string, Tensor<'float32'>> {
  return new Map(
    parameters.map((parameter) => {
      const value = weights.get(parameter.name);
      const fits = value?.dims.join() === checkpointShape(parameter).join();
      const normal = normalSource(randomStream(seed, `initialize ${parameter.name}`));
      return [
        parameter.name,
        value && fits ? fromCheckpoint(parameter, value) : initialValue(parameter, initializerRange, normal),
      ];
    }),
  );
}
