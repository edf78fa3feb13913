/** Reports of simulated runs, of any shape that a page must bear. */
import { gridCell, type GridCell, type Length } from '../../plugins/bench/src/grid.ts';
import type { BenchReport, ModelReport, StudentReport } from '../../plugins/bench/src/report.ts';
import { randomStream } from '../../src/data/index.ts';
import { coversOne, latencyOf, pairedSpeedup, type Interval, type Measurement } from '../../src/timing/index.ts';

export interface SampleModel {
  readonly name: string;
  /** Median latency of one sequence of 128 tokens on one thread. */
  readonly ms: number;
  readonly megabytes: number;
  readonly accuracy?: number;
}

export interface SampleOptions {
  /** The teacher first. */
  readonly models?: readonly SampleModel[];
  readonly grid?: readonly { readonly batch: number; readonly length: Length; readonly threads: number }[];
  readonly rounds?: number;
  /** Without evaluation data. */
  readonly withoutQuality?: boolean;
  readonly withoutColdStart?: boolean;
  readonly invalid?: boolean;
  readonly partial?: boolean;
  readonly command?: readonly string[];
  readonly warnings?: readonly string[];
}

export const sampleModels: readonly SampleModel[] = [
  { name: 'bert-base', ms: 252, megabytes: 438, accuracy: 0.9255 },
  { name: 'student-6x768', ms: 118, megabytes: 268, accuracy: 0.9106 },
  { name: 'student-6x768-int8', ms: 42, megabytes: 67.4, accuracy: 0.9083 },
  { name: 'tinybert-4x312', ms: 15.9, megabytes: 57.4, accuracy: 0.8865 },
  { name: 'tinybert-4x312-int8', ms: 7.1, megabytes: 14.5, accuracy: 0.8899 },
];

const firstCombination = { batch: 1, length: 128, threads: 1 } as const;

export function sampleReport(options: SampleOptions = {}): BenchReport {
  const {
    models = sampleModels,
    grid = [firstCombination],
    withoutQuality = false,
    withoutColdStart = false,
  } = options;
  const [teacherModel] = models as readonly [SampleModel];
  const cells = grid.map((combination) => sampleCell(models, combination, options));
  const first = cells[0]!;
  const modelReport = ({ name, megabytes, accuracy = 0.5 }: SampleModel, i: number): ModelReport => {
    const { latencyMs, throughput, flops } = first.models[i]!;
    const bytes = Math.round(megabytes * 1e6);
    const start = withoutColdStart ? null : 120 + 0.9 * megabytes;
    const peak = withoutColdStart ? null : 60e6 + 1.9 * bytes;
    const around = (value: number | null): Interval | null => (value === null ? null : [0.97 * value, 1.04 * value]);
    return {
      name,
      ref: `runs/${name}`,
      sha256: '0123456789abcdef'.repeat(4),
      parameters: Math.round(bytes / 4),
      flops,
      bytes,
      compressedBytes: Math.round(0.92 * bytes),
      groups: [
        { name: 'embeddings', bytes: Math.round(0.22 * bytes) },
        { name: 'encoder', bytes: Math.round(0.76 * bytes) },
        { name: 'head', bytes: Math.round(0.01 * bytes) },
      ],
      inputs: 'text',
      metric: withoutQuality ? null : { name: 'accuracy', value: accuracy, ci95: [accuracy - 0.019, accuracy + 0.017] },
      answers: null,
      latencyMs,
      throughput,
      coldStartMs: start,
      coldStartCi95: around(start),
      coldStartRange: around(start),
      coldStartPhasesMs:
        start === null
          ? null
          : {
              processStart: 41.5,
              moduleLoad: 30.2,
              read: 0.02 * start,
              sessionCreate: 0.7 * start,
              firstRun: 0.2 * start,
            },
      peakRssBytes: peak,
      peakRssCi95: around(peak),
      peakRssRange: around(peak),
      memoryBytes:
        peak === null ? null : { baseline: 57e6, afterCreate: 0.93 * peak, afterFirstRun: 0.97 * peak, peak },
    };
  };
  const reports = models.map(modelReport);
  const [teacher] = reports as [ModelReport];
  return {
    command: options.command ?? [
      'kdx',
      'bench',
      '--teacher',
      'runs/bert-base',
      '--student',
      'runs/small',
      '--out',
      'out',
    ],
    scenario: first.scenario,
    teacher,
    students: reports.slice(1).map((report, i): StudentReport => {
      const retention = withoutQuality ? null : models[i + 1]!.accuracy! / teacherModel.accuracy!;
      return {
        ...report,
        compressionRatio: teacher.bytes / report.bytes,
        parameterRatio: teacher.parameters / report.parameters,
        speedup: first.models[i + 1]!.speedup!,
        retention,
        retentionCi95: retention === null ? null : [retention - 0.012, retention + 0.011],
        agreement: withoutQuality ? null : 0.95 - 0.01 * i,
        agreementCi95: withoutQuality ? null : [0.93 - 0.01 * i, 0.96 - 0.01 * i],
        klDivergence: withoutQuality ? null : 0.0431 + 0.01 * i,
        klCi95: withoutQuality ? null : [0.035 + 0.01 * i, 0.052 + 0.01 * i],
      };
    }),
    control: first.control,
    stopReason: options.partial ? 'interrupted' : first.stopReason,
    partial: options.partial ?? false,
    rounds: first.rounds,
    openings: first.openings,
    seconds: first.seconds,
    seed: 0,
    data: withoutQuality ? null : { task: 'sst2', examples: 872, sha256: 'ab'.repeat(32) },
    environment: {
      cpu: {
        model: 'AMD EPYC 9004',
        flags: ['avx', 'avx2', 'fma', 'f16c', 'avx512f', 'avx512bw', 'avx512vl', 'avx512_vnni'],
        logicalCores: 4,
        physicalCores: 2,
        quotaCores: null,
        governor: 'performance',
        virtualMachine: true,
      },
      memoryBytes: 25.3e9,
      platform: 'linux 6.1.0 x64',
      node: '20.20.2',
      onnxruntime: '1.30.0',
      threads: 1,
      loadAverage: { before: 0.31, after: 0.92 },
      stealTime: 0.0016,
      warnings: options.warnings ?? ['a virtual machine: neighbours on the same host can disturb the run unseen'],
    },
    samples: first.samples,
    grid: cells,
    baseline: null,
  };
}

/** Eight, the last with what is left. */
function openingsOf(rounds: number): number[] {
  const each = Math.ceil(rounds / 8);
  const full = Math.floor(rounds / each);
  return [...new Array<number>(full).fill(each), rounds - full * each].filter((count) => count > 0);
}

/** 3 % noise of each run, and one run in 25 that takes half as long again. */
function sampleCell(
  models: readonly SampleModel[],
  { batch, length, threads }: NonNullable<SampleOptions['grid']>[number],
  { rounds = 40, invalid = false }: SampleOptions,
): GridCell {
  const scale = (batch * (length === 'natural' ? 24 : length)) / 128 / threads ** 0.8;
  const series = (model: SampleModel, i: number): number[] => {
    const random = randomStream(i, 'sample', batch, length === 'natural' ? 0 : length, threads);
    const noise = () => 0.06 * (random.nextFloat() + random.nextFloat() + random.nextFloat() - 1.5);
    return Array.from(
      { length: rounds },
      () => model.ms * scale * Math.exp(noise()) * (random.nextFloat() < 0.04 ? 1.3 + 0.4 * random.nextFloat() : 1),
    );
  };
  const samples = models.map(series);
  const reference = samples[0]!;
  const again = series(models[0]!, models.length).map((ms) => (invalid ? 1.1 * ms : ms));
  const openings = openingsOf(rounds);
  const control = pairedSpeedup(reference, again, openings);
  const measurement: Measurement = {
    reference: models[0]!.name,
    subjects: models.map(({ name }, i) => ({
      name,
      firstInferenceMs: 1.3 * samples[i]![0]!,
      runsPerSample: 1,
      samplesMs: samples[i]!,
      latencyMs: latencyOf(samples[i]!, openings),
      speedup: i === 0 ? null : pairedSpeedup(reference, samples[i]!, openings),
    })),
    // Noise alone makes one control of twenty invalid: a sample is what it is asked to be.
    control: { samplesMs: again, speedup: control, valid: !invalid || coversOne(control) },
    rounds,
    openings,
    seconds: 12.3,
    stopReason: 'target half-width reached',
    partial: false,
    seed: 0,
  };
  return gridCell({
    scenario: {
      kind: batch === 1 ? 'single-stream' : 'offline',
      device: 'cpu',
      threads,
      batch,
      length,
      lengths: length === 'natural' ? { mean: 24.1, p50: 22, p90: 41, max: 66 } : null,
      text: 'development set',
      tokenize: 'out',
    },
    measurement,
    flops: new Map(models.map(({ name, ms }) => [name, ms * 9e7])),
  });
}

export const samples: Readonly<Record<string, BenchReport>> = {
  grid: sampleReport({
    grid: [
      firstCombination,
      { batch: 1, length: 32, threads: 1 },
      { batch: 8, length: 128, threads: 1 },
      { batch: 8, length: 'natural', threads: 2 },
    ],
  }),
  'one student': sampleReport({ models: sampleModels.slice(0, 2) }),
  'teacher only': sampleReport({ models: sampleModels.slice(0, 1) }),
  'without quality and cold start': sampleReport({ withoutQuality: true, withoutColdStart: true }),
  'too few openings': sampleReport({ rounds: 2, partial: true }),
  invalid: sampleReport({ invalid: true, partial: true }),
  'eight students with long names': sampleReport({
    models: Array.from({ length: 9 }, (_, i) => ({
      name: `a-student-with-a-long-name-that-somebody-chose-for-its-folder-${i}`,
      ms: 252 / 1.7 ** i,
      megabytes: 438 / 1.5 ** i,
      accuracy: 0.9255 - 0.004 * i * (i % 3),
    })),
    grid: [firstCombination, { batch: 32, length: 128, threads: 2 }],
  }),
};

/** As bench.json was before there were grids, groups and intervals of everything. */
export function olderReport(): unknown {
  const { command: _c, grid: _g, baseline: _b, data: _d, openings: _o, ...report } = sampleReport();
  const older = (model: ModelReport | StudentReport) => {
    const { groups: _1, compressedBytes: _2, inputs: _3, answers: _4, coldStartCi95: _5, ...rest } = model;
    const { coldStartRange: _6, peakRssCi95: _7, peakRssRange: _8, metric, ...kept } = rest;
    return { ...kept, metric: metric && { name: metric.name, value: metric.value } };
  };
  const { kind: _k, lengths: _l, tokenize: _t, ...scenario } = report.scenario;
  const students = report.students.map((student) => {
    const { retentionCi95: _9, agreementCi95: _10, klDivergence: _11, klCi95: _12, ...kept } = student;
    return older(kept);
  });
  return { ...report, scenario, teacher: older(report.teacher), students };
}
