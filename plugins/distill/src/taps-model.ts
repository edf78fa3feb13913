/** The teacher's graph for what is cached: logits and first tokens of hidden states, side by side. */
import type { Checkpoint } from 'kdx/checkpoint';
import { BATCH, SEQUENCE } from 'kdx/classifier';
import { modelOf, withoutUnreadInputs, type Model } from 'kdx/graph';
import { bertClassifier, bertInputs, classifierParameters, firstToken, fromCheckpoint } from 'kdx/nn';
import { GraphBuilder, type Value } from 'kdx/ops';
import { internal } from 'kdx/errors';
import type { CachedTap } from './teacher-cache.ts';

/** Inputs as those of the classifier; output `taps`, [batch_size, sum of the widths of the taps]. */
export function tapsModel(
  { config, weights }: Pick<Checkpoint, 'config' | 'weights'>,
  taps: readonly CachedTap[],
): Model {
  const g = new GraphBuilder();
  const inputs = bertInputs(g, [BATCH, SEQUENCE]);
  const values = new Map<string, Value>();
  for (const parameter of classifierParameters(config, config.labels.length)) {
    const weight = weights.get(parameter.name);
    if (weight) values.set(parameter.name, g.initializer(parameter.name, fromCheckpoint(parameter, weight)));
  }
  const outputs = bertClassifier(g, config, (name) => values.get(name) ?? missing(name), inputs);
  const parts = taps.map((tap) =>
    tap === 'logits'
      ? outputs.logits
      : firstToken(g, outputs.hiddenStates[Number(tap.slice('first-token-'.length))] ?? missing(tap)),
  );
  g.output('taps', parts.length === 1 ? (parts[0] as Value) : g.op('Concat', parts, { axis: 1 }));
  return modelOf(withoutUnreadInputs(g.build('teacher')));
}

function missing(name: string): never {
  throw internal(`the teacher has no ${name}`);
}
