/** The terms of MixKD's loss, against sums by hand over the logits; options, and what it asks for. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { mixkd, type MixkdOptions } from '../../../plugins/distill/src/methods/mixkd.ts';
import { numbersOf } from '../../../src/graph/index.ts';
import { compile, pairs, sceneConfigs, type Results } from './mix-context.ts';
import { evaluate, exact, mixed, near, options, outputsOf, regression, rows, scene, table } from './mix-scene.ts';

const members = [
  [0, 1, 0.25],
  [1, 3, 0.75],
  [2, 0, 0.5],
  [3, 0, 0.125],
] as const;

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

function logSoftmax(logits: readonly number[]): number[] {
  const log = Math.log(logits.reduce((sum, value) => sum + Math.exp(value), 0));
  return logits.map((value) => value - log);
}

function squared(a: readonly number[], b: readonly number[]): number {
  return mean(a.map((value, i) => (value - b[i]!) ** 2));
}

const logitsOf = (result: Results, role: 'student' | 'teacher' | 'plain') => table(result[`${role}_logits`], 4);

/** Also the teacher's logits of the plain examples. */
const withPlain = async (given: Partial<MixkdOptions>) =>
  (
    await compile(exact, (built) => ({
      ...outputsOf(built, given),
      plain_logits: built.context.teacher.logits[0]!,
    }))
  )(mixed);

describe('the mixed labels', () => {
  it('are two cross-entropies by their shares', async () => {
    const result = await evaluate(exact, { teacherMix: 0, studentMix: 0.5 });
    const expected = logitsOf(result, 'student').map((logits, m) => {
      const [i, j, lambda] = members[m]!;
      const log = logSoftmax(logits);
      return -lambda * log[rows[i]!.label]! - (1 - lambda) * log[rows[j]!.label]!;
    });
    near(result.student_mix_loss![0], mean(expected), 1e-12);
    near(result.total![0], mean(expected) / 2, 1e-12);
    assert.equal(result.teacher_logits, undefined, 'the teacher is not asked');
  });

  it('have a floor, the entropy of λ where the labels differ; the excess is counted from there', async () => {
    const { student_mix_loss, student_mix_excess } = await evaluate(exact, {});
    const floor = mean(
      members.map(([i, j, lambda]) =>
        rows[i]!.label === rows[j]!.label ? 0 : -lambda * Math.log(lambda) - (1 - lambda) * Math.log(1 - lambda),
      ),
    );
    assert.ok(floor > 0.3);
    near(student_mix_excess![0], student_mix_loss![0]! - floor, 1e-12);
    const extreme = await evaluate(exact, {}, pairs([0, 1, 1], [1, 3, 0], [2, 0, 1], [3, 0, 0]));
    assert.deepEqual(extreme.student_mix_excess, extreme.student_mix_loss);
  });

  it('of a regression are their interpolation', async () => {
    const result = await evaluate(regression, {});
    const targets = members.map(
      ([i, j, lambda]) => lambda * regression.rows[i]!.label + (1 - lambda) * regression.rows[j]!.label,
    );
    const errors = targets.map((target, m) => squared([target], logitsOf(result, 'student')[m]!));
    near(result.student_mix_loss![0], mean(errors), 1e-9);
    near(result.student_mix_excess![0], mean(errors), 1e-9);
    const distances = logitsOf(result, 'student').map((own, m) => squared(own, logitsOf(result, 'teacher')[m]!));
    near(result.teacher_mix_loss![0], mean(distances), 1e-9);
  });
});

describe("the teacher's answer", () => {
  for (const distance of ['mse', 'kl'] as const)
    it(`is the student's own, if it is the same model: ${distance} is exactly 0`, async () => {
      const result = await evaluate({ ...scene, sameModel: true }, { distance });
      assert.deepEqual(result.student_logits, result.teacher_logits);
      assert.deepEqual(result.teacher_mix_loss, [0]);
    });

  it('mse is a mean over examples and classes', async () => {
    const result = await evaluate(exact, { studentMix: 0, teacherMix: 3 });
    const teacher = logitsOf(result, 'teacher');
    const expected = mean(logitsOf(result, 'student').map((own, m) => squared(own, teacher[m]!)));
    near(result.teacher_mix_loss![0], expected, 1e-12);
    near(result.total![0], 3 * expected, 1e-12);
  });

  it('kl is multiplied by T² and a mean over examples', async () => {
    const temperature = 3;
    const result = await evaluate(exact, { distance: 'kl', temperature });
    const soft = (logits: readonly number[]) => logSoftmax(logits.map((value) => value / temperature));
    const expected = logitsOf(result, 'student').map((own, m) => {
      const [log, target] = [soft(own), soft(logitsOf(result, 'teacher')[m]!)];
      return target.reduce((sum, value, c) => sum + Math.exp(value) * (value - log[c]!), 0);
    });
    near(result.teacher_mix_loss![0], temperature ** 2 * mean(expected), 1e-12);
  });

  it('kl at a high temperature is half of the mse of centred logits', async () => {
    const result = await evaluate(exact, { distance: 'kl', temperature: 1000 });
    const centred = (logits: readonly number[]) => logits.map((value) => value - mean(logits));
    const teacher = logitsOf(result, 'teacher');
    const errors = logitsOf(result, 'student').map((own, m) => squared(centred(own), centred(teacher[m]!)));
    near(result.teacher_mix_loss![0]! / (mean(errors) / 2), 1, 3e-3);
  });

  it('can be interpolated from its answers to both members', async () => {
    const result = await withPlain({ target: 'interpolated' });
    assert.equal(result.teacher_logits, undefined, 'the teacher is not asked on the mix');
    const plain = logitsOf(result, 'plain');
    const errors = logitsOf(result, 'student').map((own, m) => {
      const [i, j, lambda] = members[m]!;
      return squared(
        own,
        plain[i]!.map((value, c) => lambda * value + (1 - lambda) * plain[j]![c]!),
      );
    });
    near(result.teacher_mix_loss![0], mean(errors), 1e-12);
  });

  it('is not the interpolation of its answers', async () => {
    const [asked, between] = [await evaluate(exact, {}), await evaluate(exact, { target: 'interpolated' })];
    assert.ok(Math.abs(asked.teacher_mix_loss![0]! - between.teacher_mix_loss![0]!) > 1e-3);
  });

  for (const distance of ['mse', 'kl'] as const)
    it(`of several teachers alike is that of one, ${distance}`, async () => {
      const given = { distance, target: 'interpolated', original: 1 } as const;
      const run = await compile(exact, (built) => {
        const [logits] = built.context.teacher.logits;
        const teacher = { ...built.context.teacher, logits: [logits!, logits!] };
        return outputsOf({ ...built, context: { ...built.context, teacher } }, given);
      });
      const [two, one] = [await run(mixed), await evaluate(exact, given)];
      near(two.total![0], one.total![0]!, 1e-12);
    });
});

describe('the sum of the terms', () => {
  it('is weighted; a weight of 0 leaves a term out', async () => {
    const all = await evaluate(exact, { studentMix: 2, teacherMix: 0.5, original: 3 });
    const [{ student_mix_loss, teacher_mix_loss, original_loss, total }] = [all];
    near(total![0], 2 * student_mix_loss![0]! + 0.5 * teacher_mix_loss![0]! + 3 * original_loss![0]!, 1e-12);
    const alone = await evaluate(exact, { studentMix: 0, teacherMix: 0, original: 1 }, {});
    assert.deepEqual(Object.keys(alone).sort(), ['original_loss', 'total']);
    assert.deepEqual(alone.total, all.original_loss);
  });

  it('does not see rows of weight 0', async () => {
    const three = members.slice(0, 3);
    const filled = (filler: readonly [number, number, number, number]) => evaluate(exact, {}, pairs(...three, filler));
    const [some, others] = [await filled([3, 3, 1, 0]), await filled([1, 2, 0.4, 0])];
    assert.deepEqual(some.total, others.total);
    assert.deepEqual(some.student_mix_excess, others.student_mix_excess);
  });

  it('of two draws is the mean of both', async () => {
    const second = [
      [0, 2, 0.5],
      [1, 1, 0.25],
      [2, 3, 0.75],
      [3, 1, 0.375],
    ] as const;
    const both = await evaluate(exact, { mixRatio: 2 }, pairs(...members, ...second));
    const [one, other] = [await evaluate(exact, {}, mixed), await evaluate(exact, {}, pairs(...second))];
    near(both.total![0], (one.total![0]! + other.total![0]!) / 2, 1e-12);
  });
});

describe('what it asks for', () => {
  const taps = (given: Partial<MixkdOptions>) =>
    mixkd.taps(options(given), { ...sceneConfigs(scene), regression: false });

  it('the teacher in the step only for its answers to mixes', () => {
    assert.deepEqual(taps({}), { drawn: true, logits: false });
    assert.deepEqual(taps({ original: 1 }), { drawn: true, logits: true });
    assert.deepEqual(taps({ target: 'interpolated' }), { drawn: false, logits: true });
    assert.deepEqual(taps({ teacherMix: 0 }), { drawn: false, logits: false });
    assert.deepEqual(taps({ teacherMix: 0, target: 'interpolated' }), { drawn: false, logits: false });
  });

  it('draws what its graph reads', async () => {
    const random = () => ({ nextFloat: () => 0.3, int: () => 0, shuffle: (values: unknown[]) => values });
    const batch = { bucket: { rows: 4, length: 6 }, examples: 4, random } as never;
    const shapes = { ...sceneConfigs(scene), regression: false };
    const drawn = mixkd.draws!(options({ lambdas: 'binary' }), batch, shapes);
    const result = await evaluate(scene, {}, drawn);
    assert.ok(Number.isFinite(result.total![0]));
    assert.deepEqual(numbersOf(drawn.mix_lambda!), [0, 0, 0, 0]);
    assert.deepEqual(mixkd.draws!(options({ studentMix: 0, teacherMix: 0, original: 1 }), batch, shapes), {});
  });

  it('models and options that fit', () => {
    const configs = sceneConfigs(scene);
    const problems = (given: Partial<MixkdOptions>, changes: object = {}) =>
      mixkd.problems!(options(given), { ...configs, regression: false, ...changes }).join('; ');
    assert.equal(problems({}), '');
    assert.match(problems({ distance: 'kl' }, { regression: true }), /choose distance mse/);
    assert.match(problems({ studentMix: 0, teacherMix: 0 }), /all 0/);
    assert.match(problems({}, { teacher: undefined }), /needs a teacher/);
    assert.equal(problems({ teacherMix: 0 }, { teacher: undefined }), '');
    const teacher = { ...configs.teacher, vocabSize: 30 };
    assert.match(problems({}, { teacher }), /teacher has 30 tokens and the student 20: choose target interpolated/);
    assert.equal(problems({ target: 'interpolated' }, { teacher }), '');
  });

  it('known options', () => {
    for (const wrong of [{ alpha: -1 }, { mixRatio: 0 }, { pad: 'none' }, { temperature: 0 }, { lambda: 1 }])
      assert.equal(mixkd.options.safeParse(wrong).success, false, JSON.stringify(wrong));
  });
});
