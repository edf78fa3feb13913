/** Counts of the values of an activation in bins of one width. */

/** Closed interval. */
export interface Range {
  readonly low: number;
  readonly high: number;
}

export interface Histogram extends Range {
  /** From low to high; high itself belongs to the last bin. */
  readonly counts: Float64Array;
}

export function emptyHistogram({ low, high }: Range, bins: number): Histogram {
  return { low, high, counts: new Float64Array(bins) };
}

/** Counts values; those outside go to the bins at the ends. */
export function countValues({ low, high, counts }: Histogram, values: Float32Array): void {
  const last = counts.length - 1;
  const perBin = high > low ? counts.length / (high - low) : 0;
  for (const value of values) counts[Math.max(0, Math.min(last, Math.floor((value - low) * perBin)))]!++;
}

/** Lower edge of a bin; of the number of bins, the upper edge of the last one. */
export function edgeOf({ low, high, counts }: Histogram, bin: number): number {
  return bin === counts.length ? high : low + ((high - low) * bin) / counts.length;
}

/** The bin that holds zero. The range of a histogram of activations always does. */
export function zeroBin({ low, high, counts }: Histogram): number {
  return high > low ? Math.min(counts.length - 1, Math.floor((-low / (high - low)) * counts.length)) : 0;
}
