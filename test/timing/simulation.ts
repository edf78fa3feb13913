/** Simulated subjects on a fake clock: known speeds under drift, noise, interruptions and luck with memory. */
import { measure, type Measurement, type MeasurementOptions, type Opening } from '../../src/timing/measurement.ts';
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
  /** Names in the order in which each opening opened them. */
  readonly opened: (readonly string[])[] = [];
  isOpen = false;

  readonly now = (): number => this.milliseconds;

  run(name: string, duration: () => number): () => Promise<void> {
    return () => {
      this.log.push(name);
      this.milliseconds += duration();
      return Promise.resolve();
    };
  }

  /**
   * @param durations milliseconds of a run by name
   * @param placement how many times as long a run takes in this opening of a subject, drawn for each
   */
  opener(durations: Readonly<Record<string, () => number>>, placement: () => number = () => 1, openMs = 0) {
    return (names: readonly string[]): Promise<Opening> => {
      this.opened.push(names);
      this.isOpen = true;
      this.milliseconds += openMs;
      const runs = names.map((name) => {
        const factor = placement();
        return this.run(name, () => factor * durations[name]!());
      });
      return Promise.resolve({ runs, close: () => void (this.isOpen = false) });
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

/** A reference of 40 ms against a subject that takes `slowdown` times as long; openings differ by 2 %, as measured. */
export function noisyRun(
  seed: number,
  slowdown: number,
  options: Partial<MeasurementOptions> = {},
): Promise<Measurement> {
  const simulation = new Simulation();
  const noise = noisyMachine(seed);
  const normal = gaussian(1000 + seed);
  const durations = { reference: () => noise(40), other: () => noise(40 * slowdown) };
  return measure({
    names: ['reference', 'other'],
    reference: 'reference',
    open: simulation.opener(durations, () => Math.exp(0.02 * normal()), 500),
    seed,
    budgetSeconds: 60,
    targetRounds: 200,
    now: simulation.now,
    ...options,
  });
}
