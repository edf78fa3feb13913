/** kdx export: a checkpoint as an ONNX folder that transformers.js and Optimum read. */
import { Flags } from '@oclif/core';
import {
  deviceFlags,
  evaluationFlags,
  formatBytes,
  formatCount,
  formatPercent,
  hasData,
  KdxCommand,
  loadModelData,
  numberFlag,
  renderTable,
  significant,
  withEngine,
} from 'kdx/cli';
import { KdxError } from 'kdx/errors';
import { calibrateFlags, calibrationTexts, checkCalibrates } from '../calibrate/flags.ts';
import type { PruneReport } from '../vocabulary/index.ts';
import type { ExportResult } from '../export.ts';
import { demoPage } from '../demo/index.ts';
import { defaultLimits } from '../fidelity.ts';
import { modelPath } from '../layout.ts';
import type { TaskMetrics } from '../manifest.ts';
import { quantizers } from '../quantize/quantizers.ts';
import { runtimeFlags } from '../runtimes/flags.ts';
import { runtimesText } from '../runtimes/text.ts';
import { tuneFlags, tuneOptions } from '../tune/flags.ts';
import { tuningText } from '../tune/tuning-text.ts';

export class Export extends KdxCommand<typeof Export, ExportResult> {
  static override summary = 'Write a checkpoint as ONNX, and check that it answers the same.';
  static override description = `The folder holds onnx/model.onnx (opset 17, any batch and length), config.json, the tokenizer, and kdx.json, which says where it came from and how it was checked. transformers.js and Optimum open it as it is.

Before the folder appears, the file is run on real sentences and compared with the checkpoint: logits within --tolerance and the same label for every sentence. A quantized file is compared too, within --max-rms and --min-agreement. When a file fails, nothing is written.`;
  static override examples = [
    {
      description: 'A student:',
      command: '<%= config.bin %> <%= command.id %> --onnx --model small --out exported',
    },
    {
      description: "Compared on the task's own sentences, with its metric:",
      command: '<%= config.bin %> <%= command.id %> --onnx --model small --out exported --data SST-2 --task sst2',
    },
    {
      description: 'With an int8 file beside the float one:',
      command: '<%= config.bin %> <%= command.id %> --onnx --model small --out exported --quantize int8',
    },
    {
      description: 'A student with shared layers as a plain checkpoint:',
      command: '<%= config.bin %> <%= command.id %> --unshare --model small --out plain',
    },
  ];
  static override flags = {
    onnx: Flags.boolean({ summary: 'Write ONNX, the only format so far.', default: true }),
    model: Flags.string({ summary: 'Checkpoint folder, or hub id (org/name).', helpValue: 'DIR', required: true }),
    out: Flags.string({ summary: 'Folder to write, new or empty.', helpValue: 'DIR', required: true }),
    quantize: Flags.option({
      options: ['none', ...quantizers.map(({ name }) => name)],
      default: 'none',
      summary: 'Also write a file with weights in another number format, such as onnx/model_quantized.onnx.',
    })(),
    set: Flags.string({
      multiple: true,
      multipleNonGreedy: true,
      summary: 'One option of --quantize, such as weightBits=7 (see kdx quantize --help); may be repeated.',
      helpValue: 'KEY=VALUE',
    }),
    tolerance: numberFlag({
      min: 0,
      default: 1e-4,
      summary: 'Largest difference of a logit from the checkpoint.',
      helpValue: 'X',
    }),
    'max-rms': numberFlag({
      min: 0,
      default: defaultLimits.relativeRms,
      summary: 'With --quantize: largest root mean square difference of the logits, as a part of their spread.',
      helpValue: 'X',
    }),
    'min-agreement': numberFlag({
      min: 0,
      max: 1,
      default: defaultLimits.agreement,
      summary: 'With --quantize: smallest share of sentences with the same label.',
      helpValue: 'X',
    }),
    'prune-vocab': Flags.string({
      summary:
        'Leave out tokens that never occur in this text, one sentence a line; special tokens and characters stay.',
      helpValue: 'FILE',
    }),
    unshare: Flags.boolean({
      summary: 'Write no ONNX but a checkpoint whose layers are shared no more, for Transformers.',
    }),
    demo: Flags.boolean({
      summary:
        'Add demo/index.html, a page that classifies what is typed, in the browser (14 MB); needs onnxruntime-web.',
    }),
    force: Flags.boolean({ summary: 'Replace an earlier export in --out.' }),
    ...calibrateFlags,
    ...runtimeFlags,
    ...tuneFlags,
    ...evaluationFlags,
    threads: deviceFlags.threads,
  };

  protected override async execute(): Promise<ExportResult> {
    const { flags } = this;
    const { exportCheckpoint, exportUnshared } = await import('../export.ts');
    const { openScheme } = await import('../quantization.ts');
    if (flags.set && flags.quantize === 'none')
      throw new KdxError('invalid-usage', '--set is for --quantize', { suggestions: ['--quantize int8'] });
    if (flags.unshare && flags.quantize !== 'none')
      throw new KdxError('invalid-usage', '--unshare writes no ONNX, so it goes without --quantize');
    if (flags.calibrate !== undefined && flags.quantize === 'none')
      throw new KdxError('invalid-usage', '--calibrate is for --quantize', { suggestions: ['--quantize int8-static'] });
    const quantize = flags.quantize !== 'none' && {
      scheme: await openScheme(flags.quantize, flags.set ?? []),
      limits: { agreement: flags['min-agreement'], relativeRms: flags['max-rms'] },
    };
    if (flags.unshare && flags['prune-vocab'] !== undefined)
      throw new KdxError('invalid-usage', '--unshare keeps the vocabulary, so it goes without --prune-vocab');
    if (flags.unshare && (flags.demo || flags.runtimes))
      throw new KdxError('invalid-usage', '--unshare writes no ONNX, so it goes without --demo and --runtimes');
    const { readCorpus } = await import('../vocabulary/index.ts');
    const corpus = flags['prune-vocab'] === undefined ? undefined : await readCorpus(flags['prune-vocab']);
    const tune = tuneOptions(flags);
    const run = flags.unshare ? exportUnshared : exportCheckpoint;
    const data = hasData(flags) ? await loadModelData(flags, flags.model) : undefined;
    for (const warning of data?.warnings ?? []) this.progress.message(`note: ${warning}`);
    if (flags.calibrate !== undefined) checkCalibrates(flags.quantize);
    const needsCalibration = quantize && quantize.scheme.quantizer.calibration === 'needed';
    const calibrate = await calibrationTexts(flags, needsCalibration ? flags.data : undefined);
    if (needsCalibration && !calibrate)
      this.progress.message(
        'note: calibrated on a few built-in sentences; --data or --calibrate with sentences of the task is better',
      );
    return run(flags.model, {
      out: flags.out,
      withEngine: (work) => withEngine({ device: 'cpu', threads: flags.threads }, work),
      progress: this.progress,
      signal: this.signal,
      ...(data && { data }),
      ...(quantize && { quantize }),
      ...(calibrate && { calibrate }),
      ...(corpus && { pruneVocabulary: corpus }),
      ...(tune && { tune }),
      ...(flags.runtimes && { runtimes: flags.runtimes }),
      demo: flags.demo,
      tolerance: flags.tolerance,
      force: flags.force,
    });
  }

  protected override render({
    out,
    files,
    parameters,
    parity,
    runtimes,
    metrics,
    quantized,
    tuning,
    sharing,
    vocabulary,
  }: ExportResult): string {
    const { sentences, maxAbsDifference, tolerance } = parity;
    const lines = [
      `${out}: ${formatCount(parameters)} parameters`,
      '',
      renderTable(
        [{ title: 'file' }, { title: 'size', align: 'right' }],
        files.map(({ path, bytes }) => [path, formatBytes(bytes)]),
      ),
      '',
      `parity: ${sentences} sentences, same labels, logits within ${significant(maxAbsDifference)} (allowed ${tolerance})`,
    ];
    if (vocabulary) lines.push(renderVocabulary(vocabulary));
    if (sharing && sharing.savedBytes > 0)
      lines.push(
        `shared: ${sharing.weights.length} weights are stored once and used more often: ${formatBytes(sharing.savedBytes)} saved`,
      );
    if (metrics) lines.push(renderMetrics(metrics));
    if (tuning) lines.push(tuningText('float', tuning));
    if (quantized) {
      const { agreement, rmsDifference, spread, klDivergence } = quantized.parity;
      lines.push(
        `${quantized.scheme}: ${formatPercent(agreement)} of the labels the same, logits differ by ` +
          `${significant(rmsDifference)} (root mean square; their spread is ${significant(spread)}), ` +
          `KL ${significant(klDivergence)}`,
      );
      if (quantized.metrics) lines.push(renderMetrics(quantized.metrics));
      if (quantized.tuning) lines.push(tuningText(quantized.scheme, quantized.tuning));
    }
    if (runtimes) lines.push('', runtimesText([{ path: modelPath, runtimes }, ...(quantized ? [quantized] : [])]), '');
    if (!files.some(({ path }) => path.endsWith('.onnx')))
      return [...lines, `next: AutoModelForSequenceClassification.from_pretrained("${out}")`].join('\n');
    const demo = files.some(({ path }) => path === demoPage)
      ? [
          `      npx http-server ${out}, then open http://localhost:8080/demo/ (or python3 -m http.server -d ${out} 8080)`,
        ]
      : [];
    return [
      ...lines,
      `next: kdx predict --model ${out} "A text of your own."`,
      `      kdx inspect ${out}`,
      `      in JavaScript: pipeline('text-classification', '${out}', { dtype: '${quantized ? dtypeOf(quantized.path) : 'fp32'}' })`,
      ...demo,
    ].join('\n');
  }
}

/** Without development texts the coverage of anything but the corpus is not known. */
function renderVocabulary({ rows, savedBytes, dev }: PruneReport): string {
  const { texts, tokens } = dev ?? {};
  const share = ({ total, unchanged }: { total: number; unchanged: number }) => formatPercent(unchanged / total);
  const coverage =
    texts && tokens
      ? `; of the development texts ${share(texts)} have the same tokens as before`
      : '; give --data to see how many texts keep their tokens';
  return `vocabulary: ${rows.after} of ${rows.before} tokens, ${formatBytes(savedBytes)} less${coverage}`;
}

function renderMetrics({ task, values, examples }: TaskMetrics): string {
  const list = Object.entries(values).map(([name, value]) => `${name} ${formatPercent(value)}`);
  return `${task}: ${list.join(', ')} (${examples} examples)`;
}

/** What transformers.js calls the number format of onnx/model_quantized.onnx, onnx/model_fp16.onnx, ... */
function dtypeOf(path: string): string {
  const suffix = path.slice('onnx/model_'.length, -'.onnx'.length);
  return suffix === 'quantized' ? 'q8' : suffix;
}
