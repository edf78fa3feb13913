/** What each loss trains of a real student: TinyBERT's table of stages. The backward pass leaves the teacher alone. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { z } from 'zod';
import { cosine } from '../../../plugins/distill/src/methods/cosine.ts';
import type { Method, Model } from '../../../plugins/distill/src/methods/method.ts';
import { patience } from '../../../plugins/distill/src/methods/patience.ts';
import { prediction } from '../../../plugins/distill/src/methods/prediction.ts';
import { transformer } from '../../../plugins/distill/src/methods/tinybert.ts';
import { bertClassifier, classifierParameters, firstToken, type ParameterSource } from '../../../src/nn/index.ts';
import { buildStep, type Step } from '../../../src/train/index.ts';
import { configOf } from './context.ts';

const size = { layers: 2, width: 4, heads: 2, labels: 3 };
const shapes = { student: configOf(size), teacher: configOf({ ...size, layers: 4 }), regression: false };
const own = classifierParameters(shapes.student, size.labels);
const taught = classifierParameters(shapes.teacher, size.labels);

/** The step of one method, with a teacher whose parameters are inputs named `teacher/...`. */
function stepOf<Schema extends z.ZodObject>(method: Method<Schema>, given: object): Step {
  const options = method.options.parse(given);
  const unused = () => assert.fail('not used');
  return buildStep(
    {
      parameters: [...own, ...(method.parameters?.(options, shapes) ?? [])],
      regression: false,
      loss: (step) => {
        const { g, inputs, parameter } = step;
        const inputsOf = new Map(
          taught.map(({ name, shape }) => [name, step.input(`teacher/${name}`, g.float, shape)] as const),
        );
        const model = (config: Model['config'], source: ParameterSource) => ({
          config,
          outputs: bertClassifier(g, config, source, inputs),
          forward: unused,
          vocabulary: unused,
        });
        const teacher = model(shapes.teacher, (name) => inputsOf.get(name)!);
        const { hiddenStates, logits } = teacher.outputs;
        return method.loss(
          {
            ...step,
            parameter,
            regression: false,
            student: model(shapes.student, parameter),
            teacher: { ...teacher, logits: [logits], firstToken: (n) => firstToken(g, hiddenStates[n]!) },
          },
          options,
        );
      },
    },
    { rows: 2, length: 3 },
    { adamw: { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.01 }, clipNorm: 1, mode: 'update' },
  );
}

const embeddings = /^bert\.embeddings\./;
const layer = (n: number) => new RegExp(`^bert\\.encoder\\.layer\\.${n}\\.`);
const scoresOf = (n: number) => new RegExp(`^bert\\.encoder\\.layer\\.${n}\\.attention\\.self\\.(query|key)\\.`);
const pooler = /^bert\.pooler\./;
const classifier = /^classifier\./;
const projection = /^fit_dense\./;

const cases: Readonly<Record<string, readonly [step: () => Step, trained: RegExp[]]>> = {
  'transformer: no pooler, no classifier': [
    () => stepOf(transformer, {}),
    [embeddings, layer(0), layer(1), projection],
  ],
  'attention alone: of the last layer only queries and keys': [
    () => stepOf(transformer, { embedding: 0, hidden: 0 }),
    [embeddings, layer(0), scoresOf(1)],
  ],
  'embedding alone': [() => stepOf(transformer, { hidden: 0, attention: 0 }), [embeddings, projection]],
  'prediction: everything': [() => stepOf(prediction, {}), [embeddings, layer(0), layer(1), pooler, classifier]],
  'patience: not the last layer': [() => stepOf(patience, {}), [embeddings, layer(0)]],
  'cosine: the encoder': [() => stepOf(cosine, {}), [embeddings, layer(0), layer(1)]],
};

describe('what is trained', () => {
  for (const [title, [step, patterns]] of Object.entries(cases))
    it(title, () => {
      const built = step();
      const expected = [...own.map(({ name }) => name), 'fit_dense.weight', 'fit_dense.bias'].filter((name) =>
        patterns.some((pattern) => pattern.test(name)),
      );
      assert.deepEqual(built.trained.map(({ name }) => name).sort(), expected.sort());
    });

  for (const [title, [step]] of Object.entries(cases))
    it(`not the teacher (${title})`, () => {
      const { nodes } = step().model.graph;
      const readers = nodes.filter(({ inputs }) => inputs.some((name) => name.startsWith('teacher/')));
      assert.ok(readers.length > 0);
      assert.deepEqual(
        readers.filter(({ name }) => !name.startsWith('forward/')),
        [],
      );
    });
});
