/**
 * Channels of an activation that are far larger than the others. One scale serves the whole tensor, so a few of them leave
 * few levels for the rest; they are multiplied in float32 instead (as in LLM.int8(), Dettmers et al. 2022, whose threshold
 * of 6 is of larger models; here it is relative).
 */
import { findLinearLayers } from './linear-layers.ts';
import type { Model } from 'kdx/graph';
import type { Calibration } from '../calibration.ts';

/** Channels, ascending, by the name of the activation; activations without outliers are left out. */
export type Outliers = ReadonlyMap<string, readonly number[]>;

/** Smallest and largest value of each channel, 0 included as zero points need it. */
export interface ChannelRanges {
  readonly low: Float32Array;
  readonly high: Float32Array;
}

/** A further channel must take at least a tenth off the range that is left. */
const WORTH_A_CHANNEL = 0.9;
/** All channels together must take at least this part off the range, or they do not pay for their operators. */
const WORTH_THE_COST = 0.7;

/** @param most channels of an activation */
export async function findOutliers(model: Model, most: number, calibration: Calibration): Promise<Outliers> {
  const names = [...new Set(findLinearLayers(model.graph).layers.map(({ input }) => input))];
  const ranges = await channelRanges(model, names, calibration);
  const found = [...ranges].map(([name, range]) => [name, outliersOf(range, most)] as const);
  return new Map(found.filter(([, channels]) => channels.length > 0));
}

async function channelRanges(
  model: Model,
  names: readonly string[],
  calibration: Calibration,
): Promise<Map<string, ChannelRanges>> {
  const ranges = new Map<string, ChannelRanges>();
  await calibration.observe(model, names, (values) => {
    for (const [name, { dims, data }] of values) {
      const channels = dims.at(-1) as number;
      const { low, high } = ranges.get(name) ?? { low: new Float32Array(channels), high: new Float32Array(channels) };
      for (let i = 0; i < data.length; i++) {
        const [channel, value] = [i % channels, data[i] as number];
        low[channel] = Math.min(low[channel] as number, value);
        high[channel] = Math.max(high[channel] as number, value);
      }
      ranges.set(name, { low, high });
    }
  });
  return ranges;
}

/** The channels without which the range of the others is smallest, as far as each of them is worth it. */
export function outliersOf({ low, high }: ChannelRanges, most: number): number[] {
  const size = (channel: number) => Math.max(high[channel] as number, -(low[channel] as number));
  const order = [...low.keys()].sort((a, b) => size(b) - size(a) || a - b);
  /** Of the channels from a place in the order on. */
  const rangeFrom = (start: number) => {
    const rest = order.slice(start);
    return (
      Math.max(0, ...rest.map((channel) => high[channel] as number)) -
      Math.min(0, ...rest.map((channel) => low[channel] as number))
    );
  };
  const whole = rangeFrom(0);
  let [count, left] = [0, whole];
  for (let next = 1; next <= Math.min(most, order.length - 1); next++) {
    const range = rangeFrom(next);
    if (range < left * WORTH_A_CHANNEL ** (next - count)) [count, left] = [next, range];
  }
  return left < whole * WORTH_THE_COST ? order.slice(0, count).sort((a, b) => a - b) : [];
}
