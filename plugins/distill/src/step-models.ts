/** Student and teacher within a training step. */
import type { BertConfig } from 'kdx/checkpoint';
import { internal } from 'kdx/errors';
import {
  bertClassifier,
  classifierParameters,
  encoderParameters,
  fromCheckpoint,
  maskedLmHead,
  maskedLmParameters,
  noDropout,
  type BertInputs,
  type ClassifierOutputs,
  type Dropout,
  type Parameter,
  type ParameterSource,
} from 'kdx/nn';
import type { GraphBuilder, Value } from 'kdx/ops';
import type { Tensor } from 'kdx/graph';
import type { StepContext } from 'kdx/train';
import type { Model, Taps, Teacher } from './methods/method.ts';
import type { CachedTap } from './teacher-cache.ts';
import type { TeacherModel } from './teacher.ts';

/** A model whose parameters are values of the graph. The plain pass is made when first asked for. */
export function stepModel(
  g: GraphBuilder,
  config: BertConfig,
  parameter: ParameterSource,
  inputs: BertInputs,
  dropout: Dropout,
): Model {
  const forward = (given: BertInputs) => bertClassifier(g, config, parameter, given, dropout);
  let plain: ClassifierOutputs | undefined;
  return {
    config,
    get outputs() {
      return (plain ??= forward(inputs));
    },
    forward,
    vocabulary: (hidden) => maskedLmHead(g, config, parameter, hidden),
  };
}

/** Taps whose rows are cached, for all teachers. */
export function cachedTaps({ logits, firstTokens = [] }: Taps): CachedTap[] {
  return [...(logits ? (['logits'] as const) : []), ...firstTokens.map((layer) => `first-token-${layer}` as const)];
}

/** Whether the teacher itself has to be part of the step. */
export function isInStep({ outputs, drawn }: Taps): boolean {
  return outputs === true || drawn === true;
}

/** Graph input of a cached tap of one of the teachers. */
export function tapInput(teacher: number, tap: CachedTap): string {
  return `teacher/${teacher}/${tap}`;
}

const frozenPrefix = 'teacher/parameters/';

/** Parameters of a teacher that is part of the step, by graph input, in graph layout. */
export function frozenParameters({ checkpoint, config, ref }: TeacherModel): Map<string, Tensor<'float32'>> {
  if (!checkpoint) throw internal(`${ref} is an ONNX file and cannot be part of a step`);
  return new Map(
    modelParameters(config).flatMap((parameter) => {
      const value = checkpoint.weights.get(parameter.name);
      return value ? [[`${frozenPrefix}${parameter.name}`, fromCheckpoint(parameter, value)] as const] : [];
    }),
  );
}

/** Everything that a model may have: encoder, classification head, masked-language head. */
function modelParameters(config: BertConfig): Parameter[] {
  return [...classifierParameters(config, config.labels.length), ...maskedLmParameters(config)];
}

/** The teachers of a step: rows of the cache as inputs, and the first teacher's own graph where something asks for it. */
export function stepTeacher(context: StepContext, teachers: readonly TeacherModel[]): Teacher {
  const { g, bucket, inputs } = context;
  const [first] = teachers;
  if (!first) throw internal('a loss reads a teacher, and there is none');
  const values = new Map<string, Value>();
  const input = (name: string, shape: readonly number[]) => {
    const value = values.get(name) ?? context.input(name, g.float, shape);
    values.set(name, value);
    return value;
  };
  const shapes = new Map(modelParameters(first.config).map(({ name, shape }) => [name, shape]));
  const parameter: ParameterSource = (name) =>
    input(`${frozenPrefix}${name}`, shapes.get(name) ?? missing(first.ref, name));
  const model = stepModel(g, first.config, parameter, inputs, noDropout);
  const cached = (teacher: number, tap: CachedTap, width: number) =>
    input(tapInput(teacher, tap), [bucket.rows, width]);
  return {
    config: model.config,
    get outputs() {
      return model.outputs;
    },
    forward: (given) => model.forward(given),
    vocabulary: (hidden) => model.vocabulary(hidden),
    get logits() {
      return teachers.map(({ config }, i) => cached(i, 'logits', config.labels.length));
    },
    firstToken: (layer) => cached(0, `first-token-${layer}`, first.config.hiddenSize),
  };
}

function missing(ref: string, name: string): never {
  throw internal(`${ref} has no parameter ${name}`);
}

/** Parameters of the student in a stage. */
export function studentParameters(
  config: BertConfig,
  head: { readonly labels: number } | 'masked-lm' | 'none',
): readonly Parameter[] {
  if (head === 'none') return encoderParameters(config);
  if (head === 'masked-lm') return [...encoderParameters(config), ...maskedLmParameters(config)];
  return classifierParameters(config, head.labels);
}
