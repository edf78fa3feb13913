/** The combinations of a grid, and what is measured in each of them, one after the other. */
import { deviceVariables, type DeviceKind } from 'kdx/engine';
import { KdxError } from 'kdx/errors';
import type { Progress } from 'kdx/progress';
import { measure } from 'kdx/timing';
import type { BenchModel } from './bench-model.ts';
import { checkShapes } from './bench-source.ts';
import { cellInputs, type CellInputs } from './cell-inputs.ts';
import type { CellParts, Length, Scenario } from './grid.ts';
import { sessionOptions } from './session-options.ts';
import { stopwatchOf, type TimedModel } from './stopwatch.ts';
import type { Row } from './stopwatch-messages.ts';

export interface Combination {
  readonly device: DeviceKind;
  readonly threads: number;
  readonly batch: number;
  readonly length: Length;
}

export interface Grid {
  readonly device: readonly DeviceKind[];
  readonly batch: readonly number[];
  readonly length: readonly Length[];
  readonly threads: readonly number[];
}

/** Devices change slowest, lengths fastest; each once. */
export function combinationsOf({ device, batch, length, threads }: Grid): Combination[] {
  const unique = <T>(values: readonly T[]): T[] => [...new Set(values)];
  return unique(device).flatMap((d) =>
    unique(threads).flatMap((t) =>
      unique(batch).flatMap((b) => unique(length).map((l) => ({ device: d, threads: t, batch: b, length: l }))),
    ),
  );
}

export interface CellOptions {
  readonly examples: readonly Row[];
  readonly text: Scenario['text'];
  readonly tokenize: Scenario['tokenize'];
  /** Longer examples of a natural length are cut to so many tokens. */
  readonly maxLength: number;
  /** For each combination. */
  readonly seconds: number;
  /** Of each combination, at least. */
  readonly openings: number;
  readonly seed: number;
  readonly progress: Progress;
  readonly signal: AbortSignal | undefined;
}

/** Fewer samples do not make a 90th percentile (MLPerf); a short budget ends before, and the interval tells. */
const P90_ROUNDS = 200;

/** The inputs of a combination. @throws KdxError `fixed-shape`, `no-tokenizer`, `invalid-max-length` */
export function inputsOf(models: readonly BenchModel[], combination: Combination, options: CellOptions): CellInputs {
  const { batch, length } = combination;
  const { examples, maxLength, seed, tokenize } = options;
  if (tokenize === 'in')
    for (const { facts, classifier } of models)
      if (!classifier)
        throw new KdxError('no-tokenizer', `${facts.ref} has no tokenizer, so its tokenizing cannot be timed`, {
          suggestions: ['--tokenize out'],
        });
  const inputs = cellInputs(models, { examples, batch, length, maxLength, seed });
  models.forEach(({ graph, facts }, i) => {
    for (const feeds of inputs.readers[i]?.feeds ?? []) {
      const dims = Object.values(feeds)[0]?.dims ?? [];
      checkShapes(graph, facts.ref, { batch, length: dims[1] ?? 0 });
    }
  });
  return inputs;
}

/**
 * A sample is one `session.run`: inputs handed over, model run, logits back; with `tokenize: 'in'` also the way from text
 * to inputs.
 * @throws KdxError `run-failed`; the signal's reason when it comes before the first round
 */
export async function measureCombination(
  models: readonly BenchModel[],
  combination: Combination,
  inputs: CellInputs,
  options: CellOptions,
): Promise<CellParts> {
  const { device, threads } = combination;
  const { readers } = inputs;
  const { tokenize, seconds, openings, seed, progress, signal } = options;
  const timed = models.map(({ facts, onnxFile, classifier, inputs: reads, tuned }, i): TimedModel => {
    const { feeds, rows, maxLength } = readers[i]!;
    const texts = tokenize === 'in' && rows && classifier;
    return {
      name: facts.name,
      file: onnxFile,
      feeds: texts ? { tokenizer: classifier.dir, batches: rows, inputs: reads, maxLength } : feeds,
      sessionOptions: sessionOptions(device, threads, tuned),
    };
  });
  const measurement = await measure({
    names: timed.map(({ name }) => name),
    reference: models[0]!.facts.name,
    open: stopwatchOf(timed, { variables: await deviceVariables(device), ...(signal && { signal }) }),
    seed,
    budgetSeconds: seconds,
    minOpenings: openings,
    targetRounds: P90_ROUNDS,
    warmUpSeconds: Math.min(1, seconds),
    progress,
    ...(signal && { signal }),
  });
  return {
    scenario: scenarioOf(combination, inputs, options),
    measurement,
    flops: new Map(models.map((model, i) => [model.facts.name, meanFlops(model, readers[i]!.feeds)])),
  };
}

export function scenarioOf(
  { device, threads, batch, length }: Combination,
  { lengths }: CellInputs,
  { text, tokenize }: Pick<CellOptions, 'text' | 'tokenize'>,
): Scenario {
  const kind = batch === 1 ? 'single-stream' : 'offline';
  return { kind, device, threads, batch, length, lengths, text, tokenize };
}

/** Of one sequence with its padding, over the batches. */
export function meanFlops({ flops }: BenchModel, feeds: CellInputs['readers'][number]['feeds']): number | null {
  const lengths = feeds.map((inputs) => Object.values(inputs)[0]?.dims[1] ?? 0);
  const known = new Map([...new Set(lengths)].map((length) => [length, flops(length)]));
  const values = lengths.map((length) => known.get(length) ?? null);
  return values.reduce(
    (sum, value) => (sum === null || value === null ? null : sum + value / values.length),
    0 as number | null,
  );
}
