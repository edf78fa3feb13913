/** Which models no other one beats in both quality and cost. */

export interface Candidate {
  /** More is better. */
  readonly quality: number;
  /** Less is better. */
  readonly cost: number;
}

/** Those that no other is at least as good and as cheap as, and better in one of the two; the cheapest first. */
export function paretoFront<T extends Candidate>(candidates: readonly T[]): T[] {
  const beats = (a: T, b: T) =>
    a.quality >= b.quality && a.cost <= b.cost && (a.quality > b.quality || a.cost < b.cost);
  return candidates
    .filter((candidate) => !candidates.some((other) => beats(other, candidate)))
    .sort((a, b) => a.cost - b.cost);
}
