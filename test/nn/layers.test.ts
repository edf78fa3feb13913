/** Activations, parameters and their layout, and where dropout is applied. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { modelOf, numbersOf, tensorOf, type Shape } from '../../src/graph/index.ts';
import {
  activate,
  bertClassifier,
  checkpointShape,
  classifierParameters,
  fromCheckpoint,
  initialValue,
  isDecayed,
  linear,
  parameterCount,
  physicalLayers,
  plainPlan,
  toCheckpoint,
  transposeLinear,
  type Activation,
  type BertArchitecture,
  type Parameter,
} from '../../src/nn/index.ts';
import { GraphBuilder } from '../../src/ops/index.ts';
import { goldenArchitecture } from '../support/golden.ts';
import { runModel } from '../support/run-model.ts';

describe('activations', () => {
  const x = [-3, -1.5, -0.5, 0, 0.5, 1.5, 3];
  // PyTorch 2.15 in float64: gelu(x), gelu(x, approximate='tanh').
  const expected: Readonly<Record<Activation, number[]>> = {
    gelu: [
      -0.00404969409489031, -0.10021080190328704, -0.15426876936299344, 0, 0.34573123063700656, 1.399789198096713,
      2.99595030590511,
    ],
    gelu_new: [
      -0.0036373920817729943, -0.10042842301976707, -0.15428599017485606, 0, 0.34571400982514394, 1.3995715769802328,
      2.996362607918227,
    ],
    relu: [0, 0, 0, 0, 0.5, 1.5, 3],
  };
  for (const [name, values] of Object.entries(expected) as [Activation, number[]][])
    it(name, async () => {
      const g = new GraphBuilder();
      g.output('y', activate(g, g.constant(tensorOf('float32', [x.length], x)), name));
      const { y } = await (await runModel(modelOf(g.build('activation'))))(new Map());
      numbersOf(y!).forEach((value, i) =>
        assert.ok(Math.abs(value - values[i]!) < 2e-7, `${name}(${x[i]}) is ${value}, not ${values[i]}`),
      );
    });

  it('of another name', () => {
    const g = new GraphBuilder();
    assert.throws(() => activate(g, g.scalar(1), 'swish' as Activation), /internal: activation swish/);
  });
});

describe('linear', () => {
  for (const shape of [
    [2, 2, 3],
    ['b', 's', 3],
  ] as Shape[])
    it(`of [${shape.join()}] keeps the leading axes`, async () => {
      const g = new GraphBuilder();
      const parameter = (name: string) =>
        g.constant(
          name === 'l.weight' ? tensorOf('float32', [3, 2], [1, 2, 3, 4, 5, 6]) : tensorOf('float32', [2], [10, 20]),
        );
      const y = linear(g, g.input('x', 'float32', shape), parameter, 'l');
      assert.deepEqual(y.shape, [...shape.slice(0, 2), 2]);
      g.output('y', y);
      const x = tensorOf('float32', [2, 2, 3], [1, 0, 0, 0, 1, 0, 0, 0, 1, 1, 1, 1]);
      const results = await (await runModel(modelOf(g.build('linear'))))(new Map([['x', x]]));
      assert.deepEqual(results['y']!.dims, [2, 2, 2]);
      assert.deepEqual(numbersOf(results['y']!), [11, 22, 13, 24, 15, 26, 19, 32]);
    });
});

describe('parameters', () => {
  const shared = { ...goldenArchitecture, layerPlan: [0, 1, 0, 1] };
  const named = (name: string) => classifierParameters(shared, 3).find((parameter) => parameter.name === name)!;

  it('of a shared layer are listed and counted once', () => {
    const plain = { ...goldenArchitecture, layerPlan: [0, 1] };
    assert.deepEqual(classifierParameters(shared, 3), classifierParameters(plain, 3));
    assert.deepEqual([physicalLayers(shared), physicalLayers({ layerPlan: [] })], [2, 0]);
    assert.deepEqual(plainPlan(3), [0, 1, 2]);
  });

  it('of BERT-base with three layers are as many as the method papers say', () => {
    const base: BertArchitecture = {
      ...goldenArchitecture,
      vocabSize: 30522,
      hiddenSize: 768,
      heads: 12,
      intermediateSize: 3072,
      maxPositions: 512,
      layerPlan: [0, 1, 2, 0, 1, 2],
    };
    // 45,691,392 with the pooler; the head adds H·C + C.
    assert.equal(parameterCount(classifierParameters(base, 2)), 45_691_392 + 768 * 2 + 2);
  });

  it('have unique names, and weight decay for matrices only', () => {
    const parameters = classifierParameters(shared, 3);
    assert.equal(new Set(parameters.map(({ name }) => name)).size, parameters.length);
    for (const parameter of parameters)
      assert.equal(isDecayed(parameter), parameter.shape.length === 2, parameter.name);
  });

  it('change places between graph and checkpoint where they are linear weights', () => {
    const weight = tensorOf('float32', [2, 3], [1, 2, 3, 4, 5, 6]);
    const turned = tensorOf('float32', [3, 2], [1, 4, 2, 5, 3, 6]);
    assert.deepEqual(transposeLinear(weight), turned);
    assert.deepEqual(transposeLinear(turned), weight);
    const dense = named('bert.encoder.layer.1.intermediate.dense.weight');
    assert.deepEqual(
      [dense.shape, checkpointShape(dense)],
      [
        [24, 40],
        [40, 24],
      ],
    );
    assert.deepEqual(fromCheckpoint(dense, weight), turned);
    assert.deepEqual(toCheckpoint(dense, turned), weight);
    const table = named('bert.embeddings.word_embeddings.weight');
    assert.deepEqual(checkpointShape(table), table.shape);
    assert.deepEqual(fromCheckpoint(table, weight), weight);
    assert.throws(() => transposeLinear(tensorOf('float32', [2], [1, 2])), /internal: only a matrix/);
  });

  const initial: Readonly<Record<Parameter['kind'], number[]>> = {
    embedding: [0.5, 1, 1.5],
    linear: [0.5, 1, 1.5],
    bias: [0, 0, 0],
    scale: [1, 1, 1],
  };
  for (const [kind, values] of Object.entries(initial) as [Parameter['kind'], number[]][])
    it(`start: ${kind}`, () => {
      let draws = 0;
      const value = initialValue({ name: 'p', shape: [1, 3], kind }, 0.5, () => ++draws);
      assert.deepEqual(value, tensorOf('float32', [1, 3], values));
    });
});

it('dropout is applied where BERT applies it, at the rates of the architecture', () => {
  const architecture: BertArchitecture = {
    ...goldenArchitecture,
    layerPlan: [0, 0],
    hiddenDropout: 0.1,
    attentionDropout: 0.2,
    classifierDropout: 0.3,
  };
  const g = new GraphBuilder();
  const shapes = new Map(classifierParameters(architecture, 3).map(({ name, shape }) => [name, shape]));
  const parameters = new Map([...shapes].map(([name, shape]) => [name, g.input(name, 'float32', shape)]));
  const ids = (name: string) => g.input(name, 'int64', [2, 5]);
  const sites: [Shape, number][] = [];
  const outputs = bertClassifier(
    g,
    architecture,
    (name) => parameters.get(name)!,
    { inputIds: ids('i'), attentionMask: ids('m'), tokenTypeIds: ids('t') },
    {
      apply(x, probability) {
        sites.push([x.shape, probability]);
        return g.op('Identity', [x]);
      },
    },
  );
  assert.deepEqual(outputs.logits.shape, [2, 3]);
  const [hidden, scores] = [
    [2, 5, 24],
    [2, 4, 5, 5],
  ];
  const layer = [
    [scores, 0.2],
    [hidden, 0.1],
    [hidden, 0.1],
  ];
  assert.deepEqual(sites, [[hidden, 0.1], ...layer, ...layer, [[2, 24], 0.3]]);
  // Taps: the embedding output after dropout, as the layers read it; scores before mask, softmax and dropout.
  assert.deepEqual(
    outputs.hiddenStates.map(({ shape }) => shape),
    [hidden, hidden, hidden],
  );
  assert.deepEqual(
    outputs.attentionScores.map(({ shape }) => shape),
    [scores, scores],
  );
  const makerOf = (name: string) => g.calls.find((call) => call.outputs.some((output) => output.name === name))?.type;
  assert.equal(makerOf(outputs.hiddenStates[0]!.name), 'Identity');
  assert.ok(outputs.attentionScores.every(({ name }) => makerOf(name) === 'Div'));
});
