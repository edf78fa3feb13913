/** The range that holds a percentage of the values. */
import { edgeOf, type Histogram, type Range } from './histogram.ts';

/**
 * Half of what may be outside is cut at each end, to the edge of a bin that cuts no more than that.
 * @param percentage of values that stay inside, 0 to 100
 */
export function percentileRange(histogram: Histogram, percentage: number): Range {
  const { counts } = histogram;
  const total = counts.reduce((sum, count) => sum + count, 0);
  const outside = (total * (100 - percentage)) / 200;
  let [first, end] = [0, counts.length];
  for (let cut = 0; first < end - 1 && (cut += counts[first] as number) <= outside;) first++;
  for (let cut = 0; end > first + 1 && (cut += counts[end - 1] as number) <= outside;) end--;
  return { low: edgeOf(histogram, first), high: edgeOf(histogram, end) };
}
