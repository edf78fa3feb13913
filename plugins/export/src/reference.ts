/** The checkpoint as a runner of its own: static shapes, parameters fed, nothing fused; no part of it is exported. */
import type { Checkpoint } from 'kdx/checkpoint';
import type { RunBatch } from 'kdx/classifier';
import type { Engine, Session, Variable } from 'kdx/engine';
import { modelOf, type Model, type Tensor } from 'kdx/graph';
import { bertClassifier, bertInputs, classifierParameters, fromCheckpoint, type Parameter } from 'kdx/nn';
import { GraphBuilder, type Value } from 'kdx/ops';

export interface Reference {
  readonly run: RunBatch;
  release(): Promise<void>;
}

/** @param checkpoint with a head */
export async function openReference({ config, weights }: Checkpoint, engine: Engine): Promise<Reference> {
  const parameters = classifierParameters(config, config.labels.length);
  const variables = await Promise.all(
    parameters.map((parameter) => {
      const kept = weights.get(parameter.name) as Tensor<'float32'>;
      const value = fromCheckpoint(parameter, kept);
      return value === kept ? engine.store(value) : engine.adopt(value);
    }),
  );
  const resident = Object.fromEntries(parameters.map(({ name }, i) => [name, variables[i] as Variable]));
  const sessions = new Map<string, Session>();
  return {
    async run(inputs) {
      const dims = (inputs['input_ids'] as Tensor).dims as [number, number];
      const key = dims.join('x');
      const model = () => staticModel({ config }, parameters, dims);
      const session =
        sessions.get(key) ??
        (await engine.createSession(model(), { name: `reference ${key}`, optimization: 'disabled' }));
      sessions.set(key, session);
      const { logits } = await session.run({ feeds: { ...inputs, ...resident }, fetch: ['logits'] });
      return logits as Tensor;
    },
    async release() {
      for (const session of sessions.values()) await session.release();
      await engine.free(variables);
    },
  };
}

/** The graph that training runs, without its backward half. @param dims [rows, length] */
function staticModel(
  { config }: Pick<Checkpoint, 'config'>,
  parameters: readonly Parameter[],
  dims: readonly [number, number],
): Model {
  const g = new GraphBuilder();
  const inputs = bertInputs(g, dims);
  const values = new Map(parameters.map(({ name, shape }) => [name, g.input(name, g.float, shape)]));
  g.output('logits', bertClassifier(g, config, (name) => values.get(name) as Value, inputs).logits);
  return modelOf(g.build('reference'));
}
