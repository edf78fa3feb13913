/** A model with shared layers as a plain one, for tools that know no layer plan. */
import { plainPlan, swappedName } from '../nn/index.ts';
import type { BertConfig } from './bert-config.ts';
import { allParts, bertTensors } from './bert-tensors.ts';
import type { Checkpoint } from './checkpoint.ts';
import type { Weights } from './stored-tensors.ts';

/**
 * Every depth gets a layer of its own, at swapped depths with query and key projections exchanged: the same logits, and
 * nothing of kdx in config.json. Tensors are those given, not copies; other parts of the model are taken over.
 */
export function unshare({ config, weights }: Pick<Checkpoint, 'config' | 'weights'>): {
  readonly config: BertConfig;
  readonly weights: Weights;
} {
  const { swappedDepths = [], ...rest } = config;
  const plain: BertConfig = { ...rest, layerPlan: plainPlan(config.layers) };
  const sourceOf = (name: string) =>
    name.replace(/^(bert\.encoder\.layer\.)(\d+)(.*)$/, (_, prefix: string, depth: string, part: string) => {
      const source = `${prefix}${config.layerPlan[Number(depth)]}${part}`;
      return swappedDepths.includes(Number(depth)) ? swappedName(source) : source;
    });
  const entries = bertTensors(plain, allParts).flatMap(({ name }) => {
    const value = weights.get(sourceOf(name));
    return value ? [[name, value] as const] : [];
  });
  return { config: plain, weights: new Map(entries) };
}
