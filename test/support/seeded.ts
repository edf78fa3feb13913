/** A tiny seeded generator for test inputs: uniform floats in [0, 1). */
export function seeded(seed: number): { float(): number; integer(below: number): number } {
  let state = seed >>> 0;
  const float = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  return { float, integer: (below) => Math.floor(float() * below) };
}
