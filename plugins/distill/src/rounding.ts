/** Quantization-aware stages: the student is trained on its weights as a scheme of `kdx export --quantize` rounds them. */
import { z } from 'zod';
import { fakeQuantized, type Parameter, type WeightRounding } from 'kdx/nn';
import type { GraphBuilder, Value } from 'kdx/ops';

export const roundingSchema = z.discriminatedUnion('scheme', [
  z.strictObject({
    /** int8 and weight8: a scale per output. */
    scheme: z.enum(['int8', 'weight8']),
    /** 7 for files that must give the same answers on processors without VNNI. */
    bits: z.union([z.literal(7), z.literal(8)]).default(8),
  }),
  z.strictObject({
    /** weight4: a scale per block of inputs. */
    scheme: z.literal('weight4'),
    block: z.union([z.literal(16), z.literal(32), z.literal(64), z.literal(128), z.literal(256)]).default(32),
  }),
]);

export type Rounding = z.infer<typeof roundingSchema>;

/** What the student reads in place of a parameter: rounded linear weights; the classifier stays float, as exported. */
export function roundedParameter(
  rounding: Rounding,
): (g: GraphBuilder, parameter: Parameter, value: Value) => Value | undefined {
  const kind: WeightRounding =
    rounding.scheme === 'weight4'
      ? { kind: 'blocks', bits: 4, block: rounding.block }
      : { kind: 'channels', bits: rounding.bits };
  return (g, { name, kind: of }, value) =>
    of === 'linear' && /^(bert\.|pre_classifier\.)/.test(name) ? fakeQuantized(g, value, kind) : undefined;
}
