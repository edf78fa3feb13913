/** A measurement on another device as a part of a report: the same statistics as of a local one. */
import { KdxError } from 'kdx/errors';
import { measurementOf, median } from 'kdx/timing';
import { gridCell, type CellParts, type GridCell, type Length } from '../grid.ts';
import type { PlannedModel, RunnerResult } from './plan.ts';

export interface ImportedRun {
  /** What its user called the device, or what is known of it. */
  readonly label: string;
  readonly environment: RunnerResult['environment'];
  readonly runtime: { readonly name: string; readonly version: string };
  /** cpu, wasm, webgpu */
  readonly backend: string;
  /** Model names are those of the report. */
  readonly cells: readonly GridCell[];
  /** Combinations that could not be measured there. */
  readonly skipped: readonly SkippedCell[];
  /** One sentence each. */
  readonly warnings: readonly string[];
  /** Of the result: equal for the same measurement. */
  readonly sha256: string;
}

export interface SkippedCell {
  readonly threads: number;
  readonly batch: number;
  readonly length: Length;
  readonly reason: string;
}

/** A model of a report by what identifies it. */
export interface ModelIdentity {
  readonly name: string;
  readonly sha256: string;
}

/** The clock of a device should tell at least so many steps in a sample; its runner aims at 100. */
const LEAST_CLOCK_STEPS = 50;

/**
 * @param models of the report, the teacher first
 * @param file that the result comes from, for messages
 * @throws KdxError `import-mismatch`
 */
export function importedRun(result: RunnerResult, models: readonly ModelIdentity[], file: string): ImportedRun {
  const { plan, runtime, environment, skipped, warnings } = result;
  return {
    label: result.label ?? deviceText(result),
    environment,
    runtime: { name: runtime.name, version: runtime.version },
    backend: runtime.backend,
    cells: importedCells(result, namesIn(plan.models, models, file)).map(gridCell),
    skipped: skipped.map(({ cell, reason }) => {
      const { threads, batch, length } = plan.cells[cell]!.scenario;
      return { threads, batch, length, reason };
    }),
    warnings: [...warnings, ...clockWarnings(result)],
    sha256: result.sha256,
  };
}

/** @param names of the models of the plan, in its order */
export function importedCells({ plan, cells, runtime }: RunnerResult, names: readonly string[]): CellParts[] {
  return cells.map(({ cell, models, controlMs, openings, seconds, stopReason }) => {
    const { scenario, flops } = plan.cells[cell]!;
    return {
      scenario: { ...scenario, device: runtime.backend },
      measurement: measurementOf({
        reference: names[0]!,
        subjects: models.map((series, i) => ({ name: names[i]!, ...series })),
        controlMs,
        openings,
        seconds,
        stopReason,
        seed: plan.settings.seed,
      }),
      flops: new Map(names.map((name, i) => [name, flops[i] ?? null])),
    };
  });
}

/** What the report calls the models of a plan. @throws KdxError `import-mismatch` */
function namesIn(planned: readonly PlannedModel[], [teacher, ...students]: readonly ModelIdentity[], file: string) {
  const left = [...students];
  return planned.map(({ name, sha256 }, i) => {
    if (i === 0 && sha256 === teacher?.sha256) return teacher.name;
    const same = i === 0 ? [] : left.filter((model) => model.sha256 === sha256);
    const found = same.find((model) => model.name === name) ?? same[0];
    if (found) return left.splice(left.indexOf(found), 1)[0]!.name;
    const role = i === 0 ? 'teacher' : 'student';
    throw new KdxError(
      'import-mismatch',
      `${file} was measured with another ${role}: ${name}, SHA-256 ${sha256}, ${i === 0 ? `expected ${teacher?.sha256}` : 'is no student of this report'}`,
      {
        suggestions: [
          'import it into the report of the same models',
          'import it alone: without --report and --teacher',
        ],
      },
    );
  });
}

function clockWarnings({ plan, cells, environment: { timerResolutionMs } }: RunnerResult): string[] {
  const coarse = plan.models.filter((_, i) =>
    cells.some(({ models }) => {
      const { samplesMs, runsPerSample } = models[i]!;
      return median(samplesMs) * runsPerSample < LEAST_CLOCK_STEPS * timerResolutionMs;
    }),
  );
  return coarse.map(
    ({ name }) => `${name}: its samples are too short for a clock that steps by ${timerResolutionMs} ms`,
  );
}

/** `AMD EPYC 9004`, `Chrome 140 on Linux x86_64`. */
function deviceText({ environment: { cpuModel, userAgent, os } }: RunnerResult): string {
  if (cpuModel !== null) return cpuModel;
  // Edge and Opera also call themselves Chrome, and all of them Safari.
  const browsers = [/\bEdg\/(\d+)/, /\bOPR\/(\d+)/, /\bFirefox\/(\d+)/, /\bChrome\/(\d+)/, /\bVersion\/(\d+).*Safari/];
  const names = ['Edge', 'Opera', 'Firefox', 'Chrome', 'Safari'];
  const at = browsers.findIndex((browser) => browser.test(userAgent ?? ''));
  return at < 0 ? os : `${names[at]} ${browsers[at]!.exec(userAgent!)![1]} on ${os}`;
}
