/** Student's t distribution for whole degrees of freedom, in closed form (Abramowitz and Stegun 26.7.3, 26.7.4). */

/** P(|T| <= t), t >= 0. */
function central(t: number, degreesOfFreedom: number): number {
  const angle = Math.atan(t / Math.sqrt(degreesOfFreedom));
  const [sine, cosine] = [Math.sin(angle), Math.cos(angle)];
  const isOdd = degreesOfFreedom % 2 === 1;
  let term = isOdd ? cosine : 1;
  let sum = 0;
  for (let k = isOdd ? 3 : 2; k <= degreesOfFreedom; k += 2) {
    sum += term;
    term *= ((k - 1) / k) * cosine ** 2;
  }
  return isOdd ? (2 / Math.PI) * (angle + sine * sum) : sine * sum;
}

/** P(T > t). */
export function studentTail(t: number, degreesOfFreedom: number): number {
  const half = central(Math.abs(t), degreesOfFreedom) / 2;
  return t > 0 ? 0.5 - half : 0.5 + half;
}

/** The t that is exceeded with this probability, by bisection; 0 < probability <= 0.5. */
export function studentCritical(probability: number, degreesOfFreedom: number): number {
  let [low, high] = [0, 1];
  while (studentTail(high, degreesOfFreedom) > probability) high *= 2;
  for (let i = 0; i < 60; i++) {
    const middle = (low + high) / 2;
    if (studentTail(middle, degreesOfFreedom) > probability) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}
