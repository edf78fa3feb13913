/** What a comparison with an earlier bench.json says. Types only. */
import type { Interval } from 'kdx/timing';

export type GateVerdict = 'regression' | 'no regression' | 'cannot tell';

/** How `before` and `after` were had, which is also their unit. */
export type GateMethod =
  /** Latency: time of the model over the time of the teacher in the same round. */
  | 'time relative to the teacher'
  /** Latency: milliseconds per run, of different runs on perhaps different machines. */
  | 'time'
  /** Bytes. */
  | 'size'
  /** The metric on the same examples. */
  | 'same examples';

export interface BaselineComparison {
  /** Of a model that is in both runs. */
  readonly name: string;
  readonly measure: 'latency' | 'bytes' | 'metric';
  /** Index in `grid`; `null` for what does not depend on it. */
  readonly cell: number | null;
  readonly method: GateMethod;
  readonly before: number;
  readonly after: number;
  /** `after` over `before`: above 1 slower or larger, below 1 a lower metric; `null` over 0. */
  readonly change: number | null;
  /** `null` for sizes, and with too few openings or examples. */
  readonly ci95: Interval | null;
  /** One-sided: of a change at least so bad if the true one were just at the threshold; `null` without an interval. */
  readonly p: number | null;
  readonly verdict: GateVerdict;
  /** Why nothing can be told; `null` when something is. */
  readonly reason: string | null;
}

export interface BaselineReport {
  /** As the user called it. */
  readonly file: string;
  /** Change that is too much, 0.05 for 5 %. */
  readonly failOn: number;
  readonly comparisons: readonly BaselineComparison[];
  /** Models and combinations that only one of the runs has, and why comparisons are doubtful. */
  readonly warnings: readonly string[];
  /** `regression` when there is one; else `cannot tell` when that is said of any comparison. */
  readonly verdict: GateVerdict;
}
