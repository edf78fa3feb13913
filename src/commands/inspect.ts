/** kdx inspect: what is in a model. */
import { Args } from '@oclif/core';
import type { Size } from '../classifier/index.ts';
import { formatBytes, formatCount, KdxCommand, renderTable, wrap } from '../cli/index.ts';
import type { FolderInspection, Inspection } from './inspection.ts';
import type { OnnxInspection } from './onnx-inspection.ts';

export class Inspect extends KdxCommand<typeof Inspect, Inspection> {
  static override summary = 'Show what is in a model: shape, labels, sizes, operators, weights stored twice.';
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

  protected override async execute(): Promise<Inspection> {
    const { inspectModel } = await import('./inspection.ts');
    return inspectModel(this.args.model);
  }

  protected override render({ model, folder, onnx }: Inspection): string {
    const parts = onnx.map(renderOnnx);
    return [model, ...(folder ? [renderFolder(folder)] : []), ...parts].join('\n\n');
  }
}

const width = 80;
const nameWidth = 14;

function entry(name: string, text: string): string {
  const indent = ' '.repeat(nameWidth + 2);
  return `  ${name.padEnd(nameWidth)}${wrap(text, width - indent.length).join(`\n${indent}`)}`;
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

function renderOnnx(found: OnnxInspection): string {
  const list = (types: Readonly<Record<string, string>>) =>
    Object.entries(types)
      .map(([name, type]) => `${name} ${type}`)
      .join(', ');
  const counts = (numbers: Readonly<Record<string, number>>) =>
    Object.entries(numbers)
      .map(([name, count]) => `${name} ${count}`)
      .join(', ');
  const types = Object.entries(found.bytesByType).map(([type, bytes]) => `${type} ${formatBytes(bytes)}`);
  const { externalData: data } = found;
  const domains = Object.entries(found.opsets).map(([domain, version]) => `${domain && `${domain} `}${version}`);
  const lines = [
    entry(found.file, formatBytes(found.fileBytes)),
    ...(data ? [entry('data file', `${data.file}, ${formatBytes(data.bytes)}`)] : []),
    entry('format', `IR version ${found.irVersion}, opset ${domains.join(', ')}`),
    ...(found.producer ? [entry('producer', found.producer)] : []),
    entry('inputs', list(found.inputs)),
    entry('outputs', list(found.outputs)),
    entry('parameters', formatCount(found.parameters)),
    entry('weights', `${found.initializers} tensors: ${types.join(', ')}`),
    entry('stored twice', describeDuplicates(found)),
    entry('operators', `${found.nodes} nodes: ${counts(found.operators)}`),
  ];
  const columns = [{ title: 'largest tensors' }, { title: 'type' }, { title: 'size', align: 'right' as const }];
  const rows = found.largest.map(({ name, type, bytes }) => [name, type, formatBytes(bytes)]);
  return [...lines, '', renderGroups(found.groups), '', renderTable(columns, rows)].join('\n');
}

function describeDuplicates({ duplicates, foldableBytes }: OnnxInspection): string {
  if (duplicates.length === 0) return 'nothing';
  const tensors = duplicates.reduce((sum, { names }) => sum + names.length, 0);
  const most = duplicates[0] as (typeof duplicates)[number];
  const example = most.names.slice(0, 2).join(' and ');
  return `${tensors} tensors hold ${duplicates.length} contents: storing each once saves ${formatBytes(foldableBytes)} (the largest: ${example})`;
}

function renderGroups(groups: Readonly<Partial<Record<string, Size>>>): string {
  const rows = Object.entries(groups).map(([name, size]) => {
    const { parameters, bytes } = size as Size;
    return [name, formatCount(parameters), formatBytes(bytes)];
  });
  const right = { align: 'right' } as const;
  return renderTable([{ title: 'part' }, { title: 'parameters', ...right }, { title: 'size', ...right }], rows);
}
