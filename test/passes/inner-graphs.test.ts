/** Folding across the branches of If and the body of Loop. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { modelOf, tensorOf, type Graph, type Model, type Tensor } from '../../src/graph/index.ts';
import { foldInitializers } from '../../src/passes/index.ts';
import { graphOf, info, node } from '../onnx/samples.ts';
import { random } from './encoders.ts';
import { assertSameBits } from './same-bits.ts';

const weight = () => random('weight', [4, 4]);
const other = () => random('other', [4, 4]);

/** x multiplied by the weights one after the other, all of the branch's own. */
function branch(name: string, weights: Readonly<Record<string, Tensor>>, more: Partial<Graph> = {}): Graph {
  const names = Object.keys(weights);
  const value = (i: number) => (i === 0 ? 'x' : i === names.length ? `${name}_out` : `${name}_${i}`);
  return graphOf({
    name,
    outputs: [info(`${name}_out`, [2, 4])],
    initializers: new Map(Object.entries(weights)),
    nodes: names.map((key, i) => node('MatMul', [value(i), key], [value(i + 1)])),
    ...more,
  });
}

function choice(thenBranch: Graph, elseBranch: Graph, parts: Partial<Graph> = {}): Model {
  const branches = {
    then_branch: { type: 'graph', value: thenBranch },
    else_branch: { type: 'graph', value: elseBranch },
  } as const;
  return modelOf(
    graphOf({
      inputs: [info('x', [2, 4]), info('flag', [], 'bool')],
      outputs: [info('y', [2, 4])],
      nodes: [node('If', ['flag'], ['y'], branches)],
      ...parts,
    }),
  );
}

const cases = [0, 1].map(
  (flag) =>
    new Map<string, Tensor>([
      ['x', random('x', [2, 4])],
      ['flag', tensorOf('bool', [], [flag])],
    ]),
);

const inner = ({ graph }: Model, attribute = 'then_branch'): Graph => {
  const found = graph.nodes.find(({ opType }) => opType === 'If')?.attributes[attribute];
  assert.equal(found?.type, 'graph');
  return found.value;
};

test('within one branch, the first stays there', async () => {
  const model = choice(branch('a', { w: weight(), w2: weight() }), branch('b', { v: other() }));
  const { model: folded, report } = foldInitializers(model);
  assert.deepEqual([...inner(folded).initializers.keys()], ['w']);
  assert.equal(folded.graph.initializers.size, 0);
  assert.equal(report.groups[0]?.savedBytes, 64);
  await assertSameBits(model, folded, cases);
});

test('a branch reads the weight of the graph around it', async () => {
  const model = choice(branch('a', { w: weight() }), branch('b', { v: weight() }), {
    initializers: new Map([['outer', weight()]]),
    outputs: [info('y', [2, 4]), info('z', [2, 4])],
  });
  const nodes = [...model.graph.nodes, node('MatMul', ['x', 'outer'], ['z'])];
  const whole = { ...model, graph: { ...model.graph, nodes } };
  const { model: folded, report } = foldInitializers(whole);
  assert.deepEqual([...folded.graph.initializers.keys()], ['outer']);
  assert.deepEqual(inner(folded).nodes[0]?.inputs, ['x', 'outer']);
  assert.deepEqual(report.groups[0]?.equal, ['outer', 'w', 'v']);
  await assertSameBits(whole, folded, cases);
});

test('what two branches share moves out, under a name that is free', async () => {
  const model = choice(branch('a', { w: weight(), c: other() }), branch('b', { w: other(), v: weight() }));
  const { model: folded } = foldInitializers(model);
  assert.deepEqual([...folded.graph.initializers.keys()], ['w_1', 'c']);
  assert.deepEqual(
    inner(folded, 'else_branch').nodes.map(({ inputs }) => inputs[1]),
    ['c', 'w_1'],
  );
  await assertSameBits(model, folded, cases);
  const same = choice(branch('a', { w: weight() }), branch('b', { w: weight() }));
  assert.deepEqual([...foldInitializers(same).model.graph.initializers.keys()], ['w']);
});

test('an output of a branch that is an initializer stays, a Constant too', async () => {
  const value = () => random('result', [2, 4]);
  const constant = node('Constant', [], ['b_out'], { value: { type: 'tensor', value: value() } });
  const model = choice(
    branch('a', {}, { initializers: new Map([['kept', value()]]), nodes: [node('Identity', ['kept'], ['a_out'])] }),
    branch('b', {}, { nodes: [constant] }),
    { initializers: new Map([['outer', value()]]), outputs: [info('y', [2, 4]), info('outer', [2, 4])] },
  );
  const { model: folded } = foldInitializers(model);
  assert.deepEqual(inner(folded).nodes[0]?.inputs, ['outer']);
  assert.deepEqual(inner(folded, 'else_branch').nodes, [constant]);
  await assertSameBits(model, folded, cases);

  const pinned = choice(
    branch('a', {}, { initializers: new Map([['a_out', value()]]) }),
    branch('b', { v: weight() }),
    {
      initializers: new Map([['outer', value()]]),
      nodes: [],
    },
  );
  const whole = { ...pinned, graph: { ...pinned.graph, nodes: choiceNodes(pinned, 'outer') } };
  assert.equal(foldInitializers(whole).model, whole);
});

/** The If of a fresh choice of the same branches, and a sum with an outer weight. */
function choiceNodes(model: Model, outer: string) {
  const fresh = choice(
    branch('a', {}, { initializers: new Map([['a_out', model.graph.initializers.get(outer) as Tensor]]) }),
    branch('b', { v: weight() }),
  );
  const [chosen] = fresh.graph.nodes;
  assert.ok(chosen);
  return [{ ...chosen, outputs: ['chosen'] }, node('Add', ['chosen', outer], ['y'])];
}

test('the body of a Loop, and a branch inside it', async () => {
  const body = graphOf({
    name: 'body',
    inputs: [info('i', [], 'int64'), info('go', [], 'bool'), info('state', [2, 4])],
    outputs: [info('go_on', [], 'bool'), info('next', [2, 4])],
    initializers: new Map([
      ['loop_w', weight()],
      ['unread', other()],
    ]),
    nodes: [
      node('Identity', ['go'], ['go_on']),
      node('MatMul', ['state', 'loop_w'], ['half']),
      node('If', ['flag'], ['next'], {
        then_branch: { type: 'graph', value: inBody('p', weight()) },
        else_branch: { type: 'graph', value: inBody('q', other()) },
      }),
    ],
  });
  const model = modelOf(
    graphOf({
      inputs: [info('x', [2, 4]), info('flag', [], 'bool')],
      outputs: [info('y', [2, 4])],
      initializers: new Map<string, Tensor>([
        ['w', weight()],
        ['count', tensorOf('int64', [], [3])],
        ['always', tensorOf('bool', [], [1])],
      ]),
      nodes: [
        node('MatMul', ['x', 'w'], ['start']),
        node('Loop', ['count', 'always', 'start'], ['y'], { body: { type: 'graph', value: body } }),
      ],
    }),
  );
  const { model: folded, report } = foldInitializers(model);
  assert.deepEqual([...folded.graph.initializers.keys()], ['w', 'count', 'always']);
  assert.deepEqual(
    report.groups.map(({ equal }) => equal),
    [['w', 'loop_w', 'p_w']],
  );
  assert.equal(report.deadInitializers, 1);
  await assertSameBits(model, folded, cases);
});

function inBody(name: string, value: Tensor): Graph {
  return graphOf({
    name,
    outputs: [info(`${name}_out`, [2, 4])],
    initializers: new Map([[`${name}_w`, value]]),
    nodes: [node('MatMul', ['half', `${name}_w`], [`${name}_out`])],
  });
}
