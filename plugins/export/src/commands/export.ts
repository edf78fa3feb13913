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
import type { ExportResult } from '../export.ts';

export class Export extends KdxCommand<typeof Export, ExportResult> {
  static override summary = 'Write a checkpoint as ONNX, and check that it answers the same.';
  static override description = `The folder holds onnx/model.onnx (opset 17, any batch and length), config.json, the tokenizer, and kdx.json, which says where it came from and how it was checked. transformers.js and Optimum open it as it is.

Before the folder appears, the file is run on real sentences and compared with the checkpoint: logits within --tolerance and the same label for every sentence. When it fails, nothing is written.`;
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
      description: 'A student with shared layers as a plain checkpoint:',
      command: '<%= config.bin %> <%= command.id %> --unshare --model small --out plain',
    },
  ];
  static override flags = {
    onnx: Flags.boolean({ summary: 'Write ONNX, the only format so far.', default: true }),
    model: Flags.string({ summary: 'Checkpoint folder, or hub id (org/name).', helpValue: 'DIR', required: true }),
    out: Flags.string({ summary: 'Folder to write, new or empty.', helpValue: 'DIR', required: true }),
    quantize: Flags.option({
      options: ['none'] as const,
      default: 'none' as const,
      summary: 'Number format of the weights; none is float32.',
    })(),
    tolerance: numberFlag({
      min: 0,
      default: 1e-4,
      summary: 'Largest difference of a logit from the checkpoint.',
      helpValue: 'X',
    }),
    unshare: Flags.boolean({
      summary: 'Write no ONNX but a checkpoint whose layers are shared no more, for Transformers.',
    }),
    force: Flags.boolean({ summary: 'Replace an earlier export in --out.' }),
    ...evaluationFlags,
    threads: deviceFlags.threads,
  };

  protected override async execute(): Promise<ExportResult> {
    const { flags } = this;
    const { exportCheckpoint, exportUnshared } = await import('../export.ts');
    const run = flags.unshare ? exportUnshared : exportCheckpoint;
    const data = hasData(flags) ? await loadModelData(flags, flags.model) : undefined;
    for (const warning of data?.warnings ?? []) this.progress.message(`note: ${warning}`);
    return withEngine({ device: 'cpu', threads: flags.threads }, (engine) =>
      run(flags.model, {
        out: flags.out,
        engine,
        progress: this.progress,
        signal: this.signal,
        ...(data && { data }),
        tolerance: flags.tolerance,
        force: flags.force,
      }),
    );
  }

  protected override render({ out, files, parameters, parity, metrics }: ExportResult): string {
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
    if (metrics) {
      const values = Object.entries(metrics.values).map(([name, value]) => `${name} ${formatPercent(value)}`);
      lines.push(`${metrics.task}: ${values.join(', ')} (${metrics.examples} examples)`);
    }
    if (!files.some(({ path }) => path.endsWith('.onnx')))
      return [...lines, `next: AutoModelForSequenceClassification.from_pretrained("${out}")`].join('\n');
    return [
      ...lines,
      `next: kdx predict --model ${out} "A text of your own."`,
      `      kdx inspect ${out}`,
      `      in JavaScript: pipeline('text-classification', '${out}', { dtype: 'fp32' })`,
    ].join('\n');
  }
}
