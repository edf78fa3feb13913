/** The largest of many numbers, without sorting them all. */

/** Indices of the `count` largest values, the largest first; among equals the lower index. NaN is never taken. */
export function largest(values: ArrayLike<number>, count: number): number[] {
  const best: number[] = [];
  let floor = -Infinity;
  for (let i = 0; i < values.length; i++) {
    const value = values[i] as number;
    if (!(value > floor)) continue;
    let at = best.length;
    while (at > 0 && (values[best[at - 1] as number] as number) < value) at--;
    best.splice(at, 0, i);
    if (best.length > count) best.pop();
    if (best.length === count) floor = values[best[count - 1] as number] as number;
  }
  return best;
}
