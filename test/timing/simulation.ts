/** Simulated subjects on a fake clock: known speeds under drift, noise and interruptions. */
import { measure, type Measurement, type MeasurementOptions, type Subject } from '../../src/timing/measurement.ts';
import { randomStream } from '../../src/data/index.ts';

/** Standard normal numbers (Box-Muller). */
export function gaussian(seed: number): () => number {
  const random = randomStream(seed, 'simulation');
  const uniform = (): number => random.nextUint32() / 2 ** 32;
  return () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
}

/** A clock that only simulated work moves, and a record of what ran. */
export class Simulation {
  milliseconds = 0;
  readonly log: string[] = [];

  readonly now = (): number => this.milliseconds;

  subject(name: string, duration: () => number): Subject {
    return {
      name,
      run: () => {
        this.log.push(name);
        this.milliseconds += duration();
        return Promise.resolve();
      },
    };
  }
}

/**
 * A shared machine: 6 % noise of each run, speed that drifts by 10 % over many runs, and one run in 30 interrupted for
 * as long again. Every call is one run.
 */
export function noisyMachine(seed: number): (milliseconds: number) => number {
  const normal = gaussian(seed);
  const random = randomStream(seed, 'interruptions');
  let drift = 0;
  return (milliseconds) => {
    drift = 0.95 * drift + Math.sqrt(1 - 0.95 ** 2) * normal();
    const interrupted = random.nextUint32() < 2 ** 32 / 30 ? 2 : 1;
    return milliseconds * interrupted * Math.exp(0.06 * normal() + 0.1 * drift);
  };
}

/** A reference of 40 ms against a subject that takes `slowdown` times as long. */
export function noisyRun(
  seed: number,
  slowdown: number,
  options: Partial<MeasurementOptions> = {},
): Promise<Measurement> {
  const simulation = new Simulation();
  const noise = noisyMachine(seed);
  return measure({
    subjects: [
      simulation.subject('reference', () => noise(40)),
      simulation.subject('other', () => noise(40 * slowdown)),
    ],
    reference: 'reference',
    seed,
    budgetSeconds: 6,
    now: simulation.now,
    ...options,
  });
}
