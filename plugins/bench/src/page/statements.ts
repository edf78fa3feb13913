/** A bench report in sentences: each student against the teacher, and what must be known to believe it. */
import { formatPercent, significant, tunedOptionsText } from 'kdx/cli';
import { isGpu, type Length, type Scenario, type SpeedupReport } from '../grid.ts';
import type { BenchReport } from '../report.ts';
import { counted, intervalText, percentage, times } from './number-text.ts';

/** `kdx bench: teacher and 3 students`. */
export function reportTitle({ teacher, students }: BenchReport): string {
  const [first, ...others] = students;
  const compared = first && others.length === 0 ? first.name : counted(students.length, 'student');
  return `kdx bench: ${teacher.name} and ${compared}`;
}

/** "small: x2.01 faster [1.95, 2.06], x1.82 smaller, keeps 98.7 % of accuracy (...), agrees on 96.0 %" for each student. */
export function studentSentences({ teacher, students }: BenchReport): string[] {
  return students.map((student) => {
    const { metric, retention, retentionCi95, agreement } = student;
    const parts = [speedText(student.speedup), sizeText(student.compressionRatio)];
    if (metric && teacher.metric && retention !== null)
      parts.push(
        `keeps ${formatPercent(retention)} of ${metric.name}` +
          (retentionCi95 ? ` ${intervalText(retentionCi95, percentage)}` : '') +
          ` (${formatPercent(metric.value)} of ${formatPercent(teacher.metric.value)})`,
      );
    if (agreement !== null) parts.push(`agrees on ${formatPercent(agreement)}`);
    return `${student.name}: ${parts.join(', ')}`;
  });
}

function speedText(speedup: SpeedupReport): string {
  const { ratio, ci95, verdict } = speedup;
  if (!ci95) return 'speed not known (opened too few times)';
  switch (verdict) {
    case 'faster':
      return `${times(ratio)} faster ${intervalText(ci95)}`;
    case 'slower':
      // Told by its own factor, so that it reads like "faster".
      return `${times(1 / ratio)} slower ${intervalText([1 / ci95[1], 1 / ci95[0]])}`;
    case 'not distinguishable':
      return `as fast as the teacher within the noise, ${times(ratio)} ${intervalText(ci95)}`;
    case 'invalid run':
      return 'speed not known';
  }
}

function sizeText(ratio: number): string {
  return ratio >= 1 ? `${times(ratio)} smaller` : `${times(1 / ratio)} larger`;
}

/** `cpu, 1 thread, batch 1, length 128`. */
export function scenarioText(scenario: Scenario): string {
  const { device, threads, batch, length, tokenize } = scenario;
  const texts = [device, counted(threads, 'thread'), `batch ${batch}`, lengthText(length)];
  return [...texts, ...(tokenize === 'in' ? ['tokenizing included'] : [])].join(', ');
}

function lengthText(length: Length): string {
  return length === 'natural' ? 'natural lengths' : `length ${length}`;
}

/** Conditions and control first, then what else to know of the figures, then warnings of the machine. */
export function reportNotes(report: BenchReport): string[] {
  const { scenario, control, rounds, openings, seconds, stopReason, environment } = report;
  return [
    `${scenarioText(scenario)}; ${counted(rounds, 'round')}, the models opened anew ${counted(openings.length, 'time')}, ` +
      `in ${significant(seconds)} s: ${stopReason}`,
    controlText(control) + (control.valid ? '' : `. It excludes 1: ${invalidity}`),
    ...(report.partial ? [partialText] : []),
    ...deviceNotes(report),
    ...gridNotes(report),
    ...sampleNotes(report),
    ...tuningNotes(report),
    ...environment.warnings.map((warning) => `warning: ${warning}`),
  ];
}

export const invalidity = 'THE RUN IS INVALID, the machine was too unsteady; run it again';
export const partialText = 'interrupted: this is a partial result';

export function controlText({ ratio, ci95 }: BenchReport['control']): string {
  return `control, the teacher against itself: ${times(ratio)}${ci95 ? ` ${intervalText(ci95)}` : ''}`;
}

/** onnxruntime-node returns from a run when the logits are in the memory of the process. */
function deviceNotes({ grid }: BenchReport): string[] {
  const gpus = new Set(grid.map(({ scenario }) => scenario.device).filter(isGpu));
  return [...gpus].map(
    (device) =>
      `${device}: a sample includes copying the inputs to the device and the logits back, and waiting for both`,
  );
}

function gridNotes({ grid }: BenchReport): string[] {
  return grid.slice(1).flatMap(({ scenario, control }) => {
    if (control.valid) return [];
    return [`${scenarioText(scenario)}: the control excludes 1, so this combination is invalid`];
  });
}

function tuningNotes({ teacher, students }: BenchReport): string[] {
  return [teacher, ...students].flatMap(({ name, sessionOptions = {}, tuningUnused }) => {
    if (tuningUnused !== undefined) return [`${name}: ${tuningUnused}; it ran with the default session options`];
    const options = tunedOptionsText(sessionOptions);
    return options === '' ? [] : [`${name}: session options as tuned for this machine: ${options}`];
  });
}

function sampleNotes({ teacher, students, rounds, samples }: BenchReport): string[] {
  const batched = samples.filter(({ role, runsPerSample }) => role !== 'control' && runsPerSample > 1);
  const unsteady = [teacher, ...students].filter(
    ({ latencyMs: { outliers } }) => outliers.lowSevere + outliers.highSevere > 0.05 * rounds,
  );
  const random = [teacher, ...students].filter(({ inputs }) => inputs === 'random token ids');
  return [
    ...random.map(({ name }) => `${name}: fed random token ids, having no tokenizer of its own`),
    ...batched.map(
      ({ name, runsPerSample }) => `${name}: a sample is the mean of ${runsPerSample} runs, so p90 is of such means`,
    ),
    ...unsteady.map(({ name }) => `${name}: more than 5 % of its samples are severe outliers (kept)`),
  ];
}
