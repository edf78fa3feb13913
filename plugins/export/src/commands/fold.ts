/** kdx fold: an ONNX file with every weight stored once. */
import { Args, Flags } from '@oclif/core';
import { deviceFlags, formatBytes, formatPercent, KdxCommand, renderTable, withEngine } from 'kdx/cli';
import type { FoldResult } from '../fold.ts';

export class Fold extends KdxCommand<typeof Fold, FoldResult> {
  static override summary = 'Store every weight of an ONNX file once.';
  static override description = `Exporters write a shared layer (ALBERT, SPS) or tied embeddings as often as they are used. This command stores tensors of equal type, shape and bits once, also those in Constant nodes, in branches and loops and in external data, and leaves out what no output depends on. What is there transposed or reshaped too is made from the one copy by a node that ONNX Runtime folds away when it loads the model.

Before the file appears, it is run on made-up inputs and compared with the original: the outputs must be the same to the bit.

Quantize before folding, or fold with --no-views: a quantizer looks for weights, not for nodes that make them.`;
  static override examples = [
    {
      description: 'An ALBERT from another exporter:',
      command: '<%= config.bin %> <%= command.id %> albert.onnx --out folded.onnx',
    },
  ];
  static override args = {
    file: Args.string({ required: true, ignoreStdin: true, description: 'ONNX file.' }),
  };
  static override flags = {
    out: Flags.string({ summary: 'File to write.', helpValue: 'OUT.onnx', required: true }),
    views: Flags.boolean({
      summary: 'Also store once what is there transposed or reshaped too.',
      default: true,
      allowNo: true,
    }),
    'external-data': Flags.boolean({ summary: 'Weights in OUT.onnx_data, as is always done above 2 GB.' }),
    force: Flags.boolean({ summary: 'Replace what is at --out.' }),
    threads: deviceFlags.threads,
  };

  protected override async execute(): Promise<FoldResult> {
    const { args, flags } = this;
    const { foldFile } = await import('../fold.ts');
    return withEngine({ device: 'cpu', threads: flags.threads }, (engine) =>
      foldFile(args.file, {
        out: flags.out,
        engine,
        signal: this.signal,
        views: flags.views,
        force: flags.force,
        externalData: flags['external-data'] ? 'always' : 'auto',
      }),
    );
  }

  protected override render(result: FoldResult): string {
    const { groups, bytesBefore, bytesAfter, files, answers } = result;
    const share = bytesBefore === 0 ? '' : ` (${formatPercent(bytesAfter / bytesBefore)})`;
    const removed = describeRemoved(result);
    const lines = [
      groups.length === 0
        ? 'nothing to fold: every weight was stored once already'
        : `weights: ${formatBytes(bytesBefore)} before, ${formatBytes(bytesAfter)} after${share}`,
      ...(removed === '' ? [] : [`left out, as no output depends on it: ${removed}`]),
      ...(groups.length === 0 ? [] : ['', renderGroups(groups), '']),
      answers.checked
        ? `answers: the same to the bit in ${answers.runs} runs on made-up inputs`
        : `answers: not compared, as ${answers.reason}`,
      ...files.map(({ path, bytes }) => `${path}: ${formatBytes(bytes)}`),
    ];
    return lines.join('\n');
  }
}

const mostListed = 10;

function renderGroups(groups: FoldResult['groups']): string {
  const right = { align: 'right' } as const;
  const columns = [
    { title: 'stored once' },
    { title: 'copies', ...right },
    { title: 'transposed', ...right },
    { title: 'reshaped', ...right },
    { title: 'saved', ...right },
  ];
  const rows = groups
    .slice(0, mostListed)
    .map((group) => [
      group.name,
      group.equal.length,
      group.transposed.length,
      group.reshaped.length,
      formatBytes(group.savedBytes),
    ]);
  const rest = groups.length - mostListed;
  return renderTable(columns, rows) + (rest > 0 ? `\nand ${rest} more (--json lists all)` : '');
}

function describeRemoved({ deadNodes, deadInitializers }: FoldResult): string {
  const counts = [
    [deadNodes, 'node'],
    [deadInitializers, 'initializer'],
  ] as const;
  return counts
    .filter(([count]) => count > 0)
    .map(([count, noun]) => `${count} ${noun}${count === 1 ? '' : 's'}`)
    .join(', ');
}
