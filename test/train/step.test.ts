/** The step graph against PyTorch: losses, gradients of every parameter, five AdamW steps (golden values). */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { gradients } from '../../src/autodiff/index.ts';
import { checkGraph, modelOf, tensorOf, type Tensor } from '../../src/graph/index.ts';
import {
  bertClassifier,
  classifierParameters,
  crossEntropy,
  softDivergence,
  squaredError,
  type Parameter,
} from '../../src/nn/index.ts';
import { adamwScalars } from '../../src/optim/index.ts';
import { buildStep, slots, type Objective, type StepContext, type StepOptions } from '../../src/train/step.ts';
import { distance, golden, goldenArchitecture, goldenBatch, goldenTensors, graphTensor } from '../support/golden.ts';
import { runModel } from '../support/run-model.ts';

const parameters = classifierParameters(goldenArchitecture, 3);
const bucket = { rows: 4, length: 10 };
const { adamw } = golden;
const options: StepOptions = {
  adamw: {
    beta1: adamw.betas[0],
    beta2: adamw.betas[1],
    epsilon: adamw.epsilon,
    weightDecay: adamw.weightDecay,
  },
  clipNorm: adamw.maxGradientNorm,
  mode: 'update',
};

const classify = ({ g, parameter, inputs, dropout }: StepContext) =>
  bertClassifier(g, goldenArchitecture, parameter, inputs, dropout).logits;

const hard: Objective = {
  parameters,
  regression: false,
  loss: (context) => ({ loss: crossEntropy(context.g, classify(context), context.labels, context.weights) }),
};

/** The loss as usual, with every gradient as a metric of its own. */
function withGradients(objective: Objective): Objective {
  return {
    ...objective,
    loss(context) {
      const { loss } = objective.loss(context);
      const values = objective.parameters.map((p) => context.parameter(p.name));
      const grads = gradients(context.g, loss, values);
      const metrics = objective.parameters.map((p, i) => [`gradient/${p.name}`, grads[i] ?? assert.fail(p.name)]);
      return { loss, metrics: Object.fromEntries(metrics) as Record<string, never> };
    },
  };
}

async function initialState(objective: Objective): Promise<Map<string, Tensor>> {
  const weights = await goldenTensors('model');
  const state = new Map<string, Tensor>();
  for (const parameter of objective.parameters) {
    const value = graphTensor(weights, parameter);
    const zeros = { ...value, data: new Float32Array(value.data.length) };
    state.set(parameter.name, value);
    for (const slot of [slots.moment1, slots.moment2, slots.sum]) state.set(slot(parameter.name), zeros);
  }
  return state;
}

function scalars(step: number, rate: number): [string, Tensor][] {
  const { stepSize, epsilon, shrink } = adamwScalars(options.adamw, step, rate);
  const feeds = { step_size: stepSize, epsilon, shrink };
  return Object.entries(feeds).map(([name, value]) => [name, tensorOf('float32', [], [value])]);
}

async function runOnce(objective: Objective, extra: [string, Tensor][]): Promise<Record<string, Tensor>> {
  const step = buildStep(objective, bucket, options);
  checkGraph(step.model.graph);
  const feeds = new Map([...(await initialState(objective)), ...goldenBatch(), ...scalars(1, 0), ...extra]);
  return (await runModel(step.model))(feeds);
}

const scalar = (value: Tensor | undefined) => (value?.data as Float32Array)[0] as number;

function assertNear(actual: number, expected: number, tolerance: number): void {
  assert.ok(
    Math.abs(actual - expected) <= tolerance * Math.max(1e-3, Math.abs(expected)),
    `${actual}, not ${expected}`,
  );
}

/** Their gradient is exactly 0 in theory: softmax does not see a shift of all scores of a query. */
const isKeyBias = ({ name }: Parameter) => name.endsWith('self.key.bias');

/** Relative to the largest element of each gradient. */
function assertGradients(actual: Record<string, Tensor>, expected: ReadonlyMap<string, Tensor<'float32'>>): void {
  for (const parameter of parameters) {
    const wanted = graphTensor(expected, parameter);
    const size = wanted.data.reduce((max, value) => Math.max(max, Math.abs(value)), 0);
    const error = distance(actual[`gradient/${parameter.name}`] as Tensor, wanted);
    const bound = isKeyBias(parameter) ? 1e-6 : 1e-3 * size;
    assert.ok(error <= bound, `${parameter.name} differs by ${error} of ${size}`);
  }
}

describe('one step agrees with PyTorch', () => {
  it('cross-entropy: loss and every gradient', async () => {
    const results = await runOnce(withGradients(hard), []);
    assertNear(scalar(results['loss']), golden.crossEntropy.loss, 1e-5);
    assertGradients(results, await goldenTensors('gradient'));
  });

  it('weights of examples, 0 for filler', async () => {
    const weights = tensorOf('float32', [4], golden.inputs.exampleWeights);
    const results = await runOnce(hard, [['weights', weights]]);
    assertNear(scalar(results['loss']), golden.crossEntropy.weightedLoss, 1e-5);
  });

  it('distillation: loss and every gradient', async () => {
    const { temperature, alpha, loss } = golden.distillation;
    const objective: Objective = {
      ...hard,
      loss(context) {
        const { g, labels, weights } = context;
        const logits = classify(context);
        const teacher = context.input('teacher_logits', 'float32', [4, 3]);
        const soft = softDivergence(g, logits, [teacher], weights, { temperature, reduction: 'batchmean' });
        const hardLoss = crossEntropy(g, logits, labels, weights);
        return { loss: g.add(g.scale(hardLoss, 1 - alpha), g.scale(soft, alpha)) };
      },
    };
    const teacher = tensorOf('float32', [4, 3], golden.inputs.teacherLogits.flat());
    const results = await runOnce(withGradients(objective), [['teacher_logits', teacher]]);
    assertNear(scalar(results['loss']), loss, 1e-5);
    assertGradients(results, await goldenTensors('distillation-gradient'));
  });

  it('regression: loss and gradient of the head', async () => {
    const expected = await goldenTensors('regression');
    const objective: Objective = withGradients({
      parameters: classifierParameters(goldenArchitecture, 1),
      regression: true,
      loss: (context) => ({ loss: squaredError(context.g, classify(context), context.labels, context.weights) }),
    });
    const head = objective.parameters.filter(({ name }) => name.startsWith('classifier'));
    const step = buildStep(objective, bucket, options);
    const weights = new Map([...(await goldenTensors('model')), ...expected]);
    const feeds = new Map([...goldenBatch(), ...scalars(1, 0)]);
    for (const parameter of objective.parameters) {
      const value = graphTensor(weights, parameter);
      feeds.set(parameter.name, value);
      for (const slot of [slots.moment1, slots.moment2])
        feeds.set(slot(parameter.name), { ...value, data: new Float32Array(value.data.length) });
    }
    feeds.set('labels', tensorOf('float32', [4], golden.inputs.targets));
    const results = await (await runModel(step.model))(feeds);
    assertNear(scalar(results['loss']), golden.regression.loss, 1e-5);
    for (const parameter of head) {
      const wanted = graphTensor(expected, { ...parameter, name: `gradient.${parameter.name}` });
      assert.ok(distance(results[`gradient/${parameter.name}`] as Tensor, wanted) < 1e-5, parameter.name);
    }
  });
});

describe('five steps agree with PyTorch', () => {
  const expectedSteps = async (
    runStep: (index: number) => Promise<Record<string, Tensor>>,
    state: Map<string, Tensor>,
  ) => {
    for (let i = 0; i < adamw.rates.length; i++) {
      const results = await runStep(i);
      assertNear(scalar(results['loss']), adamw.losses[i] as number, 1e-4);
      assertNear(scalar(results['gradient_norm']), adamw.gradientNorms[i] as number, 1e-4);
    }
    const expected = await goldenTensors('adamw');
    for (const parameter of parameters) {
      const error = distance(state.get(parameter.name) as Tensor, graphTensor(expected, parameter));
      // Adam divides the rounding noise of a gradient that is exactly 0 by its own size: any step up to Σ lr is right.
      const bound = isKeyBias(parameter) ? adamw.rates.reduce((sum, rate) => sum + rate) : 1e-4;
      assert.ok(error < bound, `${parameter.name} differs by ${error}`);
    }
  };

  const advance = (state: Map<string, Tensor>, results: Record<string, Tensor>, writes: readonly string[]) => {
    for (const name of writes) state.set(name, results[slots.next(name)] as Tensor);
  };

  it('AdamW with warm-up, clipping and decay', async () => {
    const step = buildStep(hard, bucket, options);
    const run = await runModel(step.model);
    const state = await initialState(hard);
    await expectedSteps(async (i) => {
      const results = await run(new Map([...state, ...goldenBatch(), ...scalars(i + 1, adamw.rates[i] as number)]));
      advance(state, results, step.writes);
      return results;
    }, state);
  });

  it('the same with each batch given twice and accumulated', async () => {
    const first = buildStep(hard, bucket, { ...options, mode: 'accumulate' });
    const second = buildStep(hard, bucket, { ...options, mode: 'update-accumulated', batches: 2 });
    const [runFirst, runSecond] = [await runModel(first.model), await runModel(second.model)];
    const state = await initialState(hard);
    await expectedSteps(async (i) => {
      const feeds = () => new Map([...state, ...goldenBatch(), ...scalars(i + 1, adamw.rates[i] as number)]);
      advance(state, await runFirst(feeds()), first.writes);
      const results = await runSecond(feeds());
      advance(state, results, second.writes);
      return results;
    }, state);
  });
});

describe('parameters that the loss does not reach', () => {
  it('are neither read nor written', () => {
    const objective: Objective = {
      ...hard,
      loss: ({ g, parameter }) => ({
        loss: g.total(g.mul(parameter('classifier.bias'), parameter('classifier.bias'))),
      }),
    };
    const step = buildStep(objective, bucket, options);
    assert.deepEqual(
      step.trained.map(({ name }) => name),
      ['classifier.bias'],
    );
    assert.deepEqual(step.reads, ['classifier.bias', 'moment1/classifier.bias', 'moment2/classifier.bias']);
  });
});

describe('modelOf', () => {
  it('keeps to opset 17', () => {
    assert.equal(modelOf(buildStep(hard, bucket, options).model.graph).opsets[''], 17);
  });
});
