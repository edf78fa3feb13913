/** kdx inspect: what is in a model. */
import { Args, Flags } from '@oclif/core';
import { formatBytes, formatCount, KdxCommand } from '../cli/index.ts';
import { entry, renderGroups } from './inspect-text.ts';
import type { FolderInspection, Inspection } from './inspection.ts';
import { renderFiles, renderOnnx } from './onnx-text.ts';

export class Inspect extends KdxCommand<typeof Inspect, Inspection> {
  static override summary = 'Show what is in a model: shape, labels, sizes, operators, what is shared and quantized.';
  static override description = `Of an ONNX file, kdx inspect also tells how each linear layer and each embedding table is stored, which of them stayed float and why, and, from a session that runs nothing, what ONNX Runtime makes of it on this processor: which operators it fuses, and which integer products it does not.`;
  static override examples = [
    { description: 'A checkpoint:', command: '<%= config.bin %> <%= command.id %> teacher' },
    { description: 'An ONNX file:', command: '<%= config.bin %> <%= command.id %> exported/onnx/model.onnx --json' },
  ];
  static override args = {
    model: Args.string({
      required: true,
      ignoreStdin: true,
      description: 'Checkpoint folder, hub id, exported folder, or ONNX file.',
    }),
  };

  static override flags = {
    runtime: Flags.boolean({
      allowNo: true,
      default: true,
      summary: 'Create a session of each ONNX file to see what the runtime makes of it.',
    }),
  };

  protected override async execute(): Promise<Inspection> {
    const { inspectModel } = await import('./inspection.ts');
    return inspectModel(this.args.model, { runtime: this.flags.runtime });
  }

  protected override render({ model, folder, onnx }: Inspection): string {
    const files = onnx.length > 1 ? [renderFiles(onnx)] : [];
    const parts = onnx.map(renderOnnx);
    return [model, ...(folder ? [renderFolder(folder)] : []), ...files, ...parts].join('\n\n');
  }
}

function renderFolder({ architecture, labels, problemType, weights, tokenizer }: FolderInspection): string {
  const { type, layers, storedLayers, hidden, heads, intermediate, activation, vocabulary, positions } = architecture;
  const shared = storedLayers < layers ? ` (${storedLayers} stored, shared)` : '';
  const lines = [
    entry('architecture', `${type}: ${layers} layers${shared}, hidden ${hidden}, ${heads} heads`),
    entry('', `intermediate ${intermediate} (${activation}), ${vocabulary} tokens, ${positions} positions`),
  ];
  if (!weights || weights.head)
    lines.push(entry('labels', problemType === 'regression' ? 'one number (regression)' : labels.join(', ')));
  if (weights) {
    lines.push(entry('head', weights.head ? 'classifier' : 'none: a pretrained encoder, finetune it first'));
    lines.push(entry('parameters', `${formatCount(weights.parameters)} (${formatBytes(weights.bytes)} as float32)`));
    if (weights.extra.length > 0) lines.push(entry('not used', weights.extra.join(', ')));
  }
  lines.push(entry('tokenizer', describeTokenizer(tokenizer)));
  return [...lines, ...(weights ? ['', renderGroups(weights.groups)] : [])].join('\n');
}

function describeTokenizer(tokenizer: FolderInspection['tokenizer']): string {
  if (!tokenizer) return 'no tokenizer.json and no vocab.txt';
  const { tokens, maxLength } = tokenizer;
  return `${tokens} tokens${maxLength === undefined ? '' : `, at most ${maxLength} per text`}`;
}
