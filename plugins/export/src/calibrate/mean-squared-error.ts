/** The range with the least mean squared error of quantized values. */
import { edgeOf, zeroBin, type Histogram, type Range } from './histogram.ts';

/**
 * Tries every pair of edges around zero. A value inside has the error of a rounding, step² / 12 on average; one outside,
 * its squared distance. (Rounding the middles of bins in place of step² / 12 would favour steps that meet them.)
 * @param levels of a quantized value, such as 256
 */
export function leastSquaresRange(histogram: Histogram, levels: number): Range {
  const { counts } = histogram;
  const bins = counts.length;
  const width = (histogram.high - histogram.low) / bins;
  const zero = zeroBin(histogram);
  const below = squaredDistances(counts);
  const above = squaredDistances(counts.toReversed()).reverse();
  const total = counts.reduce((sum, count) => sum + count, 0);
  // In units of the width of a bin. Values within a bin of an edge that is cut are counted as rounded only.
  let best = { error: Infinity, first: 0, end: bins };
  for (let first = 0; first <= zero; first++)
    for (let end = bins; end > zero; end--) {
      const step = (end - first) / (levels - 1);
      const error = (total * step ** 2) / 12 + (below[first] as number) + (above[end] as number);
      if (error < best.error) best = { error, first, end };
    }
  return width > 0
    ? { low: edgeOf(histogram, best.first), high: edgeOf(histogram, best.end) }
    : { low: histogram.low, high: histogram.high };
}

/** For each edge, Σ count · (distance of the bin's middle)² over the bins before it; one more than there are bins. */
function squaredDistances(counts: Float64Array): Float64Array {
  const result = new Float64Array(counts.length + 1);
  // Moving the edge by one adds 1 to every distance: Σ(d + 1)² = Σd² + 2Σd + n; the bin that is passed is at 1/2.
  let [number, distances, squares] = [0, 0, 0];
  for (const [bin, count] of counts.entries()) {
    squares += 2 * distances + number + count / 4;
    distances += number + count / 2;
    number += count;
    result[bin + 1] = squares;
  }
  return result;
}
