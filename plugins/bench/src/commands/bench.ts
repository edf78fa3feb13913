/** kdx bench: students against their teacher. */
import { dirname } from 'node:path';
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
import type { TaskData } from 'kdx/data';
import type { DeviceKind } from 'kdx/engine';
import { KdxError } from 'kdx/errors';
import { barStyleOf } from '../page/terminal-bars.ts';
import type { BenchReport } from '../report.ts';
import type { RunnerFolder } from '../runner/export-runner.ts';
import { reportTable } from '../report-table.ts';
import { runnerText } from '../runner/texts.ts';
import { devicesFlag, lengthsFlag, numbersFlag, percentageFlag } from './list-flags.ts';

const architectures =
  'bert-large, bert-base, bert-medium, bert-small, bert-mini, bert-tiny, distilbert, tinybert4, tinybert6, minilm6, minilm12';

const defaultFailOn = 0.05;
/** Of a gate that found something. */
const regressionExitCode = 3;

export class Bench extends KdxCommand<typeof Bench, BenchReport | RunnerFolder> {
  static override summary = 'Compare students with their teacher: size, speed, start-up, memory, quality.';
  static override description = `The models run in turns, in random order, on the same machine and the same runtime, so that their ratio can be believed; each ratio comes with its 95 % interval, and the teacher is also measured against itself as a control. A checkpoint is measured as the ONNX file that its export holds.

A latency is one run of a batch without tokenizing, every position filled with real text. --batch, --length, --threads and --device take lists, and every combination is measured; the first is the one of the main table. --length natural runs each example with its own length.

Give --data (or --dev) to get the metric of each model and how often a student answers as its teacher.

A model is a checkpoint folder, a hub id, an exported folder, any ONNX text classifier (without config.json and a tokenizer beside it, it is fed random token ids), or an architecture with random weights, to see size and speed before anything is trained: config:NAME (${architectures}) or config:FILE.json.

--baseline compares with an earlier bench.json: time relative to the teacher, size, metric. It is a regression when the 95 % interval of a change lies wholly beyond --fail-on (with Holm's correction for the number of comparisons); the exit code is then 3. Where the interval includes the threshold, "cannot tell" is said, and the exit code is 0.

--out writes bench.json with every sample, report.html (tables and plots, nothing loaded from anywhere) and report.md (for a pull request).

--export-runner measures nothing here: it writes a folder with the models, their inputs and a script, to be copied to another machine or opened in a browser. What that writes, result.json, --import adds to the report of the same models.

Ctrl-C ends the measurement and shows what there is.`;
  static override examples = [
    {
      description: 'Speed, size and quality of a student:',
      command: '<%= config.bin %> <%= command.id %> --teacher teacher --student small --data SST-2 --task sst2',
    },
    {
      description:
        'Two exported students, short texts, the result kept as out/bench.json and as a page, out/report.html:',
      command:
        '<%= config.bin %> <%= command.id %> --teacher teacher --student exported/onnx/model.onnx --student other --length 32 --out out',
    },
    {
      description: 'How fast would it be? Architectures with random weights, over lengths and threads:',
      command:
        '<%= config.bin %> <%= command.id %> --teacher config:bert-base --student config:tinybert4 --length 32,128 --threads 1,2 --cold-starts 0',
    },
    {
      description: 'The page and the Markdown of an earlier run again:',
      command: '<%= config.bin %> <%= command.id %> --report out/bench.json',
    },
    {
      description: 'On a phone or another computer: a folder that measures there (its README.txt says how):',
      command:
        '<%= config.bin %> <%= command.id %> --teacher teacher --student small --length 32,128 --export-runner runner',
    },
    {
      description: 'What came back from there, added to the report of this machine:',
      command: '<%= config.bin %> <%= command.id %> --import result.json --report out/bench.json --out out',
    },
    {
      description: 'In continuous integration: fail when a student got 5 % slower, larger or worse:',
      command:
        '<%= config.bin %> <%= command.id %> --teacher teacher --student exported --baseline bench.json --fail-on 5%',
    },
  ];
  static override flags = {
    teacher: Flags.string({
      summary: 'Checkpoint folder, hub id, exported folder, ONNX file, or config:NAME.',
      helpValue: 'MODEL',
    }),
    student: Flags.string({
      summary: "As --teacher; may be repeated, for example with the teacher's own int8 file.",
      helpValue: 'MODEL',
      multiple: true,
      multipleNonGreedy: true,
    }),
    batch: numbersFlag({ min: 1, default: [1], summary: 'Sequences per run.', helpValue: 'N,...' }),
    length: lengthsFlag({
      min: 3,
      default: [128],
      summary: 'Tokens per sequence; natural: each example with its own length.',
      helpValue: 'N|natural,...',
    }),
    threads: numbersFlag({
      min: 1,
      default: [1],
      summary: 'Threads of the measured runs. One gives the steadiest figures; evaluation always takes all cores.',
      helpValue: 'N,...',
    }),
    tokenize: Flags.option({
      options: ['in', 'out'] as const,
      default: 'out' as const,
      summary: 'Whether a latency includes turning text into tokens.',
    })(),
    device: devicesFlag({
      default: ['cpu'],
      summary: 'Devices to run on: cpu, cuda, webgpu; the evaluation is done on the first.',
      helpValue: 'NAME,...',
    }),
    seconds: numberFlag({
      min: 0,
      default: 20,
      summary:
        'Time for the latency of each combination. It ends early when 200 rounds have told the ratios to 2 %, and slow models take longer.',
      helpValue: 'S',
    }),
    openings: Flags.integer({
      min: 3,
      default: 6,
      summary: 'Processes in which all models are opened anew, at least: the interval of a ratio comes from them.',
      helpValue: 'N',
    }),
    'cold-starts': Flags.integer({
      min: 0,
      default: 10,
      summary: 'Fresh processes per model, for start-up time and memory; 0 leaves these out.',
      helpValue: 'N',
    }),
    compress: Flags.boolean({ summary: 'Also find the gzip size of files over 200 MB, which takes a while.' }),
    baseline: Flags.string({ summary: 'An earlier bench.json to compare with.', helpValue: 'FILE' }),
    'fail-on': percentageFlag({
      summary: 'Change that is a regression (default 5%).',
      helpValue: 'P%',
      dependsOn: ['baseline'],
    }),
    seed: Flags.integer({
      min: 0,
      default: 0,
      summary: 'Seed of the order of runs and of the inputs.',
      helpValue: 'N',
    }),
    ...evaluationFlags,
    'max-length': maxLengthFlag,
    out: Flags.string({
      summary: 'Folder for bench.json, report.html and report.md, which are replaced.',
      helpValue: 'DIR',
    }),
    report: Flags.string({
      summary: 'Measure nothing: make report.html and report.md from an earlier bench.json, beside it or in --out.',
      helpValue: 'FILE',
      exclusive: ['teacher', 'student', 'baseline'],
    }),
    'export-runner': Flags.string({
      summary: 'Measure nothing: write a folder that measures on another machine or in a browser.',
      helpValue: 'DIR',
      exclusive: ['baseline', 'import', 'out', 'report'],
    }),
    force: Flags.boolean({
      summary: 'Replace an earlier folder of --export-runner, with the results in it.',
      dependsOn: ['export-runner'],
    }),
    import: Flags.string({
      summary: 'A result.json of such a folder, for the report; may be repeated. Alone it makes a report of its own.',
      helpValue: 'FILE',
      multiple: true,
      multipleNonGreedy: true,
    }),
  };

  protected override async execute(): Promise<BenchReport | RunnerFolder> {
    const { flags } = this;
    const { teacher, student: students, report, import: imports = [] } = flags;
    const [firstImport, ...otherImports] = imports;
    if (report !== undefined && firstImport === undefined) {
      const { reportAgain } = await import('../page/index.ts');
      return reportAgain(report, flags.out ?? dirname(report));
    }
    if (firstImport !== undefined && teacher === undefined && students === undefined) {
      const { importInto, reportOfImports } = await import('../runner/result-report.ts');
      if (report !== undefined) return importInto(report, imports, flags.out ?? dirname(report));
      return reportOfImports([firstImport, ...otherImports], flags.out);
    }
    if (teacher === undefined || students === undefined)
      throw new KdxError('invalid-usage', 'a teacher and a student are needed', {
        suggestions: ['--teacher DIR --student DIR'],
      });
    const examples = hasData(flags) ? await loadModelData(flags, teacher) : undefined;
    if (flags['export-runner'] !== undefined)
      return this.#exportRunner(flags['export-runner'], teacher, students, examples);
    const [{ bench }, { repeatable }] = await Promise.all([import('../bench.ts'), import('../page/index.ts')]);
    const [first, ...others] = flags.device as [DeviceKind, ...DeviceKind[]];
    // Devices that are not there are named before anything is measured.
    for (const device of others) await withEngine({ device }, () => Promise.resolve());
    return withEngine({ device: first }, async (engine) => {
      const report = await bench({
        teacher,
        students,
        engine,
        device: flags.device,
        ...(examples && { data: examples }),
        ...(flags['max-length'] !== undefined && { maxLength: flags['max-length'] }),
        batch: flags.batch,
        length: flags.length,
        threads: flags.threads,
        seconds: flags.seconds,
        openings: flags.openings,
        tokenize: flags.tokenize,
        coldStarts: flags['cold-starts'],
        compressLarge: flags.compress,
        ...(flags.baseline !== undefined && {
          baseline: { file: flags.baseline, failOn: flags['fail-on'] ?? defaultFailOn },
        }),
        seed: flags.seed,
        imports,
        ...(flags.out !== undefined && { out: flags.out }),
        command: repeatable(this.argv),
        progress: this.progress,
        signal: this.signal,
      });
      if (report.baseline?.verdict === 'regression') process.exitCode = regressionExitCode;
      if (report.partial) process.exitCode = interruptedExitCode;
      return report;
    });
  }

  async #exportRunner(
    folder: string,
    teacher: string,
    students: readonly string[],
    data: TaskData | undefined,
  ): Promise<RunnerFolder> {
    const { flags } = this;
    if (flags.tokenize === 'in')
      throw new KdxError('invalid-usage', '--export-runner measures without tokenizing', {
        suggestions: ['--tokenize out'],
      });
    if (flags.device.join() !== 'cpu')
      throw new KdxError('invalid-usage', '--export-runner takes no --device: it is chosen where the folder is run', {
        suggestions: ['leave --device out; the page of the folder offers WebGPU'],
      });
    const { exportRunner } = await import('../runner/export-runner.ts');
    return exportRunner({
      teacher,
      students,
      ...(data && { data }),
      ...(flags['max-length'] !== undefined && { maxLength: flags['max-length'] }),
      grid: { batch: flags.batch, length: flags.length, threads: flags.threads },
      seconds: flags.seconds,
      openings: flags.openings,
      seed: flags.seed,
      folder,
      force: flags.force,
      progress: this.progress,
      signal: this.signal,
    });
  }

  protected override render(result: BenchReport | RunnerFolder): string {
    if ('combinations' in result) return runnerText(result);
    return reportTable(result, { bars: barStyleOf(process.stdout, process.env) });
  }
}
