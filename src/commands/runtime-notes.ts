/** What the quantization of a file means for its speed and its answers on a processor, in sentences. */
import type { QuantizationInspection, WeightInspection } from './quantization-inspection.ts';
import type { RuntimeInspection } from './runtime-inspection.ts';

/** Instructions for products of 8-bit integers: VNNI of x86, dot products of ARM. */
export type Int8Support = 'vnni' | 'dot-product' | 'none' | 'unknown';

export function int8Support({ architecture, flags }: RuntimeInspection['processor']): Int8Support {
  if (flags.some((flag) => /vnni|amx_int8/.test(flag))) return 'vnni';
  if (flags.some((flag) => /^(asimddp|i8mm)$/.test(flag))) return 'dot-product';
  // Only Linux lists the flags.
  if (flags.length === 0) return 'unknown';
  return architecture === 'x64' || architecture === 'arm64' ? 'none' : 'unknown';
}

/** One sentence each; none for a file in which there is nothing to say. */
export function runtimeNotes(
  { weights, saturation }: QuantizationInspection,
  { processor, optimized }: RuntimeInspection,
): string[] {
  const notes: string[] = [];
  const layers = weights.filter(({ kind }) => kind === 'linear');
  const integers = layers.filter((weight) => /^u?int8$/.test(weight.type) && isIntegerProduct(weight));
  const support = int8Support(processor);
  if (integers.length > 0) notes.push(speedNotes[support]);
  if (support === 'vnni' && integers.some(({ type }) => type === 'uint8'))
    notes.push('uint8 weights run at about half the speed of int8 ones on this processor');
  if (saturation) notes.push(...saturationNotes(saturation, support));
  if (layers.some(({ type }) => type === 'float16'))
    notes.push('float16 weights are converted to float32: as slow, and as large in memory, as the float32 file');
  if (layers.some((weight) => !/float/.test(weight.type) && !isIntegerProduct(weight)))
    notes.push('integer weights that are multiplied as floats or in blocks save space, not time');
  if (optimized && optimized.dequantizedEachRun.length > 0)
    notes.push('matrices that are dequantized in every run cost time; kdx quantize --set form=nbits avoids it');
  if (optimized?.operators['com.microsoft.SkipLayerNormalization'])
    notes.push(
      'SkipLayerNormalization may be the slow way on CPUs: the session option that disables SkipLayerNormFusion ' +
        'avoids it; kdx export --tune finds out',
    );
  return notes;
}

/** Integers times integers; blocks (MatMulNBits) have kernels of their own, which are slower. */
function isIntegerProduct({ activations, granularity }: WeightInspection): boolean {
  return (activations === 'dynamic' || activations === 'static') && granularity !== 'block';
}

const speedNotes: Readonly<Record<Int8Support, string>> = {
  vnni: 'VNNI: int8 products that are fused are typically two to three times as fast as float32 ones',
  'dot-product': 'dot products of 8 bits: int8 products that are fused are faster than float32 ones',
  none: 'no VNNI: int8 products are hardly faster than float32 ones, 10 to 20 %',
  unknown: 'it is not known whether this processor has instructions for int8; without them int8 is hardly faster',
};

function saturationNotes(
  { columns, saturating }: NonNullable<QuantizationInspection['saturation']>,
  support: Int8Support,
): string[] {
  if (saturating === 0) return [`none of the ${columns} int8 columns can saturate: the same answers on any processor`];
  const here = support === 'none' ? ', such as this one' : '';
  return [`${saturating} of ${columns} int8 columns can give other answers on processors without VNNI${here}`];
}
