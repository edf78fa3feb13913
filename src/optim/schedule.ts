/** Learning-rate schedules. */

export type ScheduleName = 'linear' | 'constant';

export interface Schedule {
  readonly name: ScheduleName;
  /** Share of all steps over which the rate rises linearly from 0. */
  readonly warmup: number;
}

/**
 * Factor on the learning rate at step 0, 1, ...: the linear schedule of Transformers
 * (get_linear_schedule_with_warmup), whose warm-up steps are rounded up.
 */
export function scheduleFactor({ name, warmup }: Schedule, step: number, totalSteps: number): number {
  const warmupSteps = Math.ceil(warmup * totalSteps);
  if (step < warmupSteps) return step / Math.max(1, warmupSteps);
  if (name === 'constant') return 1;
  return Math.max(0, (totalSteps - step) / Math.max(1, totalSteps - warmupSteps));
}
