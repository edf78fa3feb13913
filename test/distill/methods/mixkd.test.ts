/** The mixed batch of MixKD: what goes into both models, and where gradients go. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { label } from '../../../plugins/distill/src/methods/label.ts';
import { mixkd, type MixkdOptions } from '../../../plugins/distill/src/methods/mixkd.ts';
import { gradients } from '../../../src/autodiff/index.ts';
import { numbersOf, tensorOf, type Tensor } from '../../../src/graph/index.ts';
import type { Value } from '../../../src/ops/index.ts';
import { compile, padding, pairs, sceneParameters, type Feeds, type Row } from './mix-context.ts';
import { evaluate, exact, mixed, near, options, outputsOf, rows, scene, table } from './mix-scene.ts';

const padRules = ['embed', 'zero', 'keep'] as const;
const unmixed = pairs([0, 1, 1], [1, 3, 1], [2, 0, 1], [3, 0, 1]);

describe('without a share of the partner', () => {
  for (const pad of padRules)
    it(`λ = 1 is the plain pass: same logits, same losses, same gradients, pad ${pad}`, async () => {
      const run = await compile(scene, ({ g, context, parameters, passes }) => {
        const { metrics } = mixkd.loss(context, options({ pad, original: 1 }));
        const outputs: Record<string, Value> = {
          'mixed student': passes.student[0]!.outputs.logits,
          'plain student': context.student.outputs.logits,
          'mixed teacher': passes.teacher[0]!.outputs.logits,
          'plain teacher': context.teacher.outputs.logits,
        };
        const losses = {
          'mixed label': metrics.student_mix_loss!,
          'plain label': label.loss(context, {}).loss,
          'mixed answer': metrics.teacher_mix_loss!,
          'plain answer': metrics.original_loss!,
        };
        for (const [name, loss] of Object.entries(losses)) {
          outputs[name] = g.op('Identity', [loss]);
          const found = gradients(g, loss, [...parameters.student.values()]);
          found.forEach((value, i) => (outputs[`${name} gradient ${i}`] = value ?? assert.fail(`no gradient ${i}`)));
        }
        return outputs;
      });
      const result = await run(unmixed);
      for (const [name, values] of Object.entries(result)) {
        if (!name.startsWith('mixed')) continue;
        const expected = result[name.replace('mixed', 'plain')]!;
        if (name.includes('gradient')) values.forEach((value, i) => near(value, expected[i]!, 1e-6, name));
        else assert.deepEqual(values, expected, name);
      }
    });

  it('λ = 0 is the plain pass of the partner', async () => {
    assert.deepEqual(
      await evaluate(scene, {}, pairs([0, 1, 0], [1, 3, 0], [2, 0, 0], [3, 2, 0])),
      await evaluate(scene, {}, pairs([1, 1, 1], [3, 3, 1], [0, 0, 1], [2, 2, 1])),
    );
  });
});

describe('a mix', () => {
  for (const pad of padRules)
    it(`of (i, j, λ) is that of (j, i, 1-λ), pad ${pad}`, async () => {
      const run = await compile(scene, (built) => {
        const outputs = outputsOf(built, { pad });
        return { ...outputs, mask: built.passes.student[0]!.inputs.attentionMask };
      });
      const swapped = pairs([1, 0, 0.75], [3, 1, 0.25], [0, 2, 0.5], [0, 3, 0.875]);
      assert.deepEqual(await run(mixed), await run(swapped));
    });

  it('has a token where one of its members has one', async () => {
    const run = await compile(scene, ({ context, passes }) => {
      mixkd.loss(context, options());
      return { mask: passes.student[0]!.inputs.attentionMask };
    });
    const masks = async (feeds: Feeds) => table((await run(feeds)).mask, 4).map((mask) => mask.join(''));
    assert.deepEqual(await masks(mixed), ['111111', '111111', '111100', '111110']);
    assert.deepEqual(await masks(unmixed), ['111100', '111111', '111000', '111110']);
  });

  it("depends on its partner's tokens beyond its own length, unless it has no share of them", async () => {
    const logits = async (tail: readonly number[], lambda: number) => {
      const partner: Row = { ids: [1, 3, 2, ...tail], label: 0 };
      const feeds = pairs([0, 1, lambda], [0, 1, lambda]);
      return (await evaluate({ rows: [rows[2]!, partner] }, {}, feeds)).student_logits!;
    };
    const [some, others] = [await logits([5, 6], 0.7), await logits([15, 16], 0.7)];
    assert.ok(Math.max(...some.map((value, i) => Math.abs(value - others[i]!))) > 1e-2);
    assert.deepEqual(await logits([5, 6], 1), await logits([15, 16], 1));
  });

  /** Shares of both members at a position where the first has a token, the second, neither. */
  const sharesAt: Record<MixkdOptions['pad'], (lambda: number, first: boolean, second: boolean) => [number, number]> = {
    embed: (lambda) => [lambda, 1 - lambda],
    zero: (lambda, first, second) => [first ? lambda : 0, second ? 1 - lambda : 0],
    keep: (lambda, first, second) => (first === second ? [lambda, 1 - lambda] : [Number(first), Number(second)]),
  };

  for (const pad of padRules)
    it(`is made of each model's own word and type embeddings, before position and LayerNorm, pad ${pad}`, async () => {
      const run = await compile(exact, ({ context, passes }) => {
        mixkd.loss(context, options({ pad }));
        return {
          student: passes.student[0]!.outputs.hiddenStates[0]!,
          teacher: passes.teacher[0]!.outputs.hiddenStates[0]!,
        };
      });
      const result = await run(mixed);
      // The first pair of `mixed`: row 0, row 1, λ = 1/4.
      const [first, second] = [rows[0]!, rows[1]!];
      for (const role of ['student', 'teacher'] as const) {
        const embed = embeddingsOf(role);
        const normalizedFirst: number[] = [];
        table(table(result[role], 4)[0], 6).forEach((actual, position) => {
          const shares = sharesAt[pad](0.25, position < first.ids.length, position < second.ids.length);
          const members = [first, second].map((row) => embed.token(row, position));
          const sum = weighted(members, shares);
          embed.output(sum, position).forEach((value, i) => near(actual[i], value, 1e-6, `${role} ${position}`));
          const finished = weighted(
            members.map((member) => embed.output(member, position)),
            shares,
          );
          normalizedFirst.push(...finished.map((value, i) => Math.abs(value - actual[i]!)));
        });
        assert.ok(Math.max(...normalizedFirst) > 0.1, 'mixing after LayerNorm is something else');
      }
    });
});

describe('gradients', () => {
  it('through both members are those of central differences', async () => {
    const given = { studentMix: 0.7, teacherMix: 1.3, original: 0.4 };
    const tables = ['word_embeddings', 'token_type_embeddings'].map((name) => `bert.embeddings.${name}.weight`);
    const run = await compile(exact, (built) => {
      const outputs = outputsOf(built, given);
      const wrt = tables.map((name) => built.parameters.student.get(name)!);
      gradients(built.g, outputs.total!, wrt).forEach((value, i) => (outputs[tables[i]!] = value!));
      return outputs;
    });
    // Only rows 0 (tokens 5, 6) and 1 (tokens 7 to 10) are mixed; the plain pass is that of all rows.
    const feeds = pairs([0, 1, 0.3], [0, 1, 0.6], [1, 0, 0.8], [0, 0, 1, 0]);
    const analytic = await run(feeds);
    const step = 1e-5;
    for (const name of tables) {
      const parameter = sceneParameters(exact).get(`student/${name}`)!;
      const width = parameter.dims[1]!;
      const values = numbersOf(parameter);
      const tokens = name.includes('type') ? [0, 1] : [padding, 1, 2, 5, 6, 9, 10];
      for (const token of tokens) {
        let largest = 0;
        for (let i = token * width; i < (token + 1) * width; i++) {
          const shifted = async (by: number) => {
            const moved = values.map((value, k) => (k === i ? value + by : value));
            const replaced: Tensor = tensorOf('float64', parameter.dims, moved);
            return (await run({ ...feeds, [`student/${name}`]: replaced })).total![0]!;
          };
          const numeric = ((await shifted(step)) - (await shifted(-step))) / (2 * step);
          // LayerNormalization keeps its statistics in float32.
          near(analytic[name]![i], numeric, 1e-6 * Math.max(1, Math.abs(numeric)), `gradient of ${name} ${token}`);
          largest = Math.max(largest, Math.abs(numeric));
        }
        assert.ok(largest > 1e-3, `${name} ${token} has a gradient`);
      }
    }
  });

  it('do not go into the teacher', async () => {
    await compile(scene, (built) => {
      const { g, parameters } = built;
      const outputs = outputsOf(built, { original: 1 });
      const forward = g.calls.length;
      gradients(g, outputs.total!, [...parameters.student.values()]);
      const teacher = new Set([...parameters.teacher.values()].map(({ name }) => name));
      const reads = (calls: typeof g.calls) => calls.some(({ inputs }) => inputs.some((x) => x && teacher.has(x.name)));
      assert.ok(reads(g.calls.slice(0, forward)));
      assert.ok(!reads(g.calls.slice(forward)));
      return outputs;
    });
  });
});

/** The embeddings of a model, by hand. */
function embeddingsOf(role: 'student' | 'teacher') {
  const parameters = sceneParameters(exact);
  const rowsOf = (name: string) => {
    const value = parameters.get(`${role}/bert.embeddings.${name}`)!;
    return table(numbersOf(value), value.dims.length === 1 ? 1 : value.dims[0]!);
  };
  const [words, types] = [rowsOf('word_embeddings.weight'), rowsOf('token_type_embeddings.weight')];
  const positions = rowsOf('position_embeddings.weight');
  const [scale, bias] = [rowsOf('LayerNorm.weight')[0]!, rowsOf('LayerNorm.bias')[0]!];
  return {
    /** Word and type of a row's token, of the padding beyond its end. */
    token({ ids, second = ids.length }: Row, position: number): number[] {
      const isToken = position < ids.length;
      const type = isToken && position >= second ? 1 : 0;
      return weighted([words[isToken ? ids[position]! : padding]!, types[type]!], [1, 1]);
    },
    /** Position and LayerNorm. */
    output(token: readonly number[], position: number): number[] {
      const sum = weighted([token, positions[position]!], [1, 1]);
      const mean = sum.reduce((total, value) => total + value, 0) / sum.length;
      const variance = sum.reduce((total, value) => total + (value - mean) ** 2, 0) / sum.length;
      return sum.map((value, i) => ((value - mean) / Math.sqrt(variance)) * scale[i]! + bias[i]!);
    },
  };
}

function weighted(vectors: readonly (readonly number[])[], shares: readonly number[]): number[] {
  return vectors[0]!.map((_, i) => vectors.reduce((sum, vector, k) => sum + vector[i]! * shares[k]!, 0));
}
