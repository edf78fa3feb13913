/** kdx bench: students against their teacher. */
import { Flags } from '@oclif/core';
import {
  evaluationFlags,
  hasData,
  interruptedExitCode,
  KdxCommand,
  loadModelData,
  maxLengthFlag,
  numberFlag,
  withEngine,
} from 'kdx/cli';
import type { BenchReport } from '../report.ts';
import { reportTable } from '../report-table.ts';

export class Bench extends KdxCommand<typeof Bench, BenchReport> {
  static override summary = 'Compare students with their teacher: size, speed, start-up, memory, quality.';
  static override description = `The models run in turns, in random order, on the same machine and the same runtime, so that their ratio can be believed; each ratio comes with its 95 % interval, and the teacher is also measured against itself as a control. A checkpoint is measured as the ONNX file that its export holds.

A latency is one run of a batch without tokenizing, every position filled with real text. Give --data (or --dev) to get the metric of each model and how often a student answers as its teacher.

Ctrl-C ends the measurement and shows what there is.`;
  static override examples = [
    {
      description: 'Speed, size and quality of a student:',
      command: '<%= config.bin %> <%= command.id %> --teacher teacher --student small --data SST-2 --task sst2',
    },
    {
      description: 'Two exported students, short texts, the result kept as out/bench.json:',
      command:
        '<%= config.bin %> <%= command.id %> --teacher teacher --student exported/onnx/model.onnx --student other --length 32 --out out',
    },
  ];
  static override flags = {
    teacher: Flags.string({
      summary: 'Checkpoint folder, hub id, exported folder, or ONNX file.',
      helpValue: 'DIR|FILE',
      required: true,
    }),
    student: Flags.string({
      summary: 'As --teacher; may be repeated.',
      helpValue: 'DIR|FILE',
      required: true,
      multiple: true,
      multipleNonGreedy: true,
    }),
    batch: Flags.integer({ min: 1, default: 1, summary: 'Sequences per run.', helpValue: 'N' }),
    length: Flags.integer({ min: 3, default: 128, summary: 'Tokens per sequence.', helpValue: 'N' }),
    threads: Flags.integer({
      min: 1,
      default: 1,
      summary: 'Threads of the measured runs. One gives the steadiest figures; evaluation always takes all cores.',
      helpValue: 'N',
    }),
    device: Flags.option({
      options: ['cpu', 'cuda', 'webgpu'] as const,
      default: 'cpu' as const,
      summary: 'Device to run on.',
    })(),
    seconds: numberFlag({
      min: 0,
      default: 20,
      summary: 'Longest time for the latency runs; they end early when 200 rounds have told the ratios to 2 %.',
      helpValue: 'S',
    }),
    'cold-starts': Flags.integer({
      min: 0,
      default: 10,
      summary: 'Fresh processes per model, for start-up time and memory; 0 leaves these out.',
      helpValue: 'N',
    }),
    seed: Flags.integer({
      min: 0,
      default: 0,
      summary: 'Seed of the order of runs and of the inputs.',
      helpValue: 'N',
    }),
    ...evaluationFlags,
    'max-length': maxLengthFlag,
    out: Flags.string({ summary: 'Folder for bench.json, which is replaced.', helpValue: 'DIR' }),
  };

  protected override async execute(): Promise<BenchReport> {
    const { flags } = this;
    const { bench } = await import('../bench.ts');
    const examples = hasData(flags) ? await loadModelData(flags, flags.teacher) : undefined;
    return withEngine({ device: flags.device }, async (engine) => {
      const report = await bench({
        teacher: flags.teacher,
        students: flags.student,
        engine,
        ...(examples && { data: examples }),
        ...(flags['max-length'] !== undefined && { maxLength: flags['max-length'] }),
        batch: flags.batch,
        length: flags.length,
        threads: flags.threads,
        seconds: flags.seconds,
        coldStarts: flags['cold-starts'],
        seed: flags.seed,
        ...(flags.out !== undefined && { out: flags.out }),
        progress: this.progress,
        signal: this.signal,
      });
      if (report.partial) process.exitCode = interruptedExitCode;
      return report;
    });
  }

  protected override render(report: BenchReport): string {
    return reportTable(report);
  }
}
