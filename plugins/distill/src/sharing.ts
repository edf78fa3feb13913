/** Layers that run twice (SPS of Pea-KD, arXiv 2009.14822) as data: from a short description to a layer plan. */
import { z } from 'zod';
import { internal } from 'kdx/errors';
import type { BertArchitecture } from 'kdx/nn';

const patternSchema = z.strictObject({
  /** Second runs come after all layers (0 1 2 0 1 2), each after its first (0 0 1 1 2 2), in reverse (0 1 2 2 1 0). */
  pattern: z.enum(['stack', 'interleave', 'mirror']).default('stack'),
  /** Layers that run twice, from 0, in the order of `stack`; default: all, of six layers the upper three. */
  repeat: z.array(z.number().int().min(0)).nonempty().optional(),
  /** `qk`: in its second run a layer's query and key projections exchange roles. */
  shuffle: z.enum(['qk', 'none']).default('qk'),
});

/** `sps1` shares only, `sps2` shuffles as well: the rows of Pea-KD's ablation, not the classes of its code. */
export const sharingSchema = z.union([z.enum(['sps1', 'sps2']), patternSchema], {
  error: 'expected sps1, sps2 or {pattern: stack|interleave|mirror, repeat: [layers], shuffle: qk|none}',
});

export type Sharing = z.infer<typeof sharingSchema>;
type Pattern = z.infer<typeof patternSchema>;

const presets: Readonly<Record<Extract<Sharing, string>, Pattern>> = {
  sps1: { pattern: 'stack', shuffle: 'none' },
  sps2: { pattern: 'stack', shuffle: 'qk' },
};

export type SharedPlan = Required<Pick<BertArchitecture, 'layerPlan' | 'swappedDepths'>>;

/** Why this sharing cannot be had with so many layers; empty when it can. */
export function sharingProblems(physicalLayers: number, sharing: Sharing): string[] {
  const repeat = patternOf(sharing).repeat ?? [];
  const outside = repeat.filter((layer) => layer >= physicalLayers);
  const twice = [...new Set(repeat.filter((layer, i) => repeat.indexOf(layer) !== i))];
  return [
    ...(outside.length > 0
      ? [`repeat: expected layers 0 to ${physicalLayers - 1} of ${physicalLayers}, found ${outside.join(', ')}`]
      : []),
    ...(twice.length > 0 ? [`repeat: expected each layer once, found ${twice.join(', ')} more than once`] : []),
  ];
}

/** Physical layer of each depth, and the depths that exchange query and key. */
export function sharedPlan(physicalLayers: number, sharing: Sharing): SharedPlan {
  const problems = sharingProblems(physicalLayers, sharing);
  if (problems.length > 0) throw internal(problems.join('; '));
  const { pattern, shuffle, repeat = defaultRepeat(physicalLayers) } = patternOf(sharing);
  const runs = runsOf(pattern, physicalLayers, repeat);
  return {
    layerPlan: runs.map(({ layer }) => layer),
    swappedDepths: shuffle === 'qk' ? runs.flatMap(({ second }, depth) => (second ? [depth] : [])) : [],
  };
}

function patternOf(sharing: Sharing): Pattern {
  return typeof sharing === 'string' ? presets[sharing] : sharing;
}

function defaultRepeat(physicalLayers: number): number[] {
  return range(physicalLayers).slice(physicalLayers === 6 ? 3 : 0);
}

interface Run {
  readonly layer: number;
  readonly second: boolean;
}

function runsOf(pattern: Pattern['pattern'], physicalLayers: number, repeat: readonly number[]): Run[] {
  const first = range(physicalLayers).map((layer): Run => ({ layer, second: false }));
  const again = repeat.map((layer): Run => ({ layer, second: true }));
  switch (pattern) {
    case 'stack':
      return [...first, ...again];
    case 'interleave':
      return first.flatMap((run) => [run, ...again.filter(({ layer }) => layer === run.layer)]);
    case 'mirror':
      return [...first, ...again.reverse()];
  }
}

function range(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i);
}
