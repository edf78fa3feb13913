/** The text form of what is in an ONNX file. */
import { formatBytes, formatCount, renderTable } from '../cli/index.ts';
import { entry, item, listNames, renderGroups } from './inspect-text.ts';
import type { OnnxInspection } from './onnx-inspection.ts';
import type { FloatNode, WeightGroup } from './quantization-inspection.ts';

export function renderOnnx(found: OnnxInspection): string {
  const types = Object.entries(found.bytesByType).map(([type, bytes]) => `${type} ${formatBytes(bytes)}`);
  const { externalData: data } = found;
  const domains = Object.entries(found.opsets).map(([domain, version]) => `${domain && `${domain} `}${version}`);
  const lines = [
    entry(found.file, formatBytes(found.fileBytes)),
    ...(data ? [entry('data file', `${data.file}, ${formatBytes(data.bytes)}`)] : []),
    entry('format', `IR version ${found.irVersion}, opset ${domains.join(', ')}`),
    ...(found.producer ? [entry('producer', found.producer)] : []),
    entry('inputs', listValues(found.inputs)),
    entry('outputs', listValues(found.outputs)),
    entry('parameters', formatCount(found.parameters)),
    entry('weights', `${found.initializers} tensors: ${types.join(', ')}`),
    entry('stored twice', describeDuplicates(found)),
    entry('shared', describeShared(found)),
    entry('operators', `${found.nodes} nodes: ${listValues(found.operators)}`),
    ...describeFloatNodes(found),
    ...describeRuntime(found),
  ];
  const columns = [{ title: 'largest tensors' }, { title: 'type' }, { title: 'size', align: 'right' as const }];
  const rows = found.largest.map(({ name, type, bytes }) => [name, type, formatBytes(bytes)]);
  const { groups } = found.quantization;
  return [
    ...lines,
    '',
    renderGroups(found.groups),
    ...(groups.length > 0 ? ['', renderWeights(groups)] : []),
    '',
    renderTable(columns, rows),
  ].join('\n');
}

/** A line for each of several files. */
export function renderFiles(files: readonly OnnxInspection[]): string {
  const columns = ['file', 'linear layers', 'embedding tables', 'size'].map((title) => ({ title }));
  const most = (groups: readonly WeightGroup[], wanted: WeightGroup['kind']) =>
    groups.find(({ kind }) => kind === wanted)?.as ?? 'none';
  const rows = files.map(({ file, fileBytes, externalData, quantization: { groups } }) => [
    file,
    most(groups, 'linear'),
    most(groups, 'table'),
    formatBytes(fileBytes + (externalData?.bytes ?? 0)),
  ]);
  return renderTable(columns, rows);
}

function listValues(values: Readonly<Record<string, string | number>>): string {
  return Object.entries(values)
    .map(([name, value]) => `${name} ${value}`)
    .join(', ');
}

function describeDuplicates({ duplicates, foldableBytes }: OnnxInspection): string {
  if (duplicates.length === 0) return 'nothing';
  const tensors = duplicates.reduce((sum, { names }) => sum + names.length, 0);
  const most = duplicates[0] as (typeof duplicates)[number];
  const example = most.names.slice(0, 2).join(' and ');
  return `${tensors} tensors hold ${duplicates.length} contents: storing each once saves ${formatBytes(foldableBytes)} (the largest: ${example})`;
}

function describeShared({ shared: { weights, savedBytes } }: OnnxInspection): string {
  if (weights.length === 0) return 'nothing';
  const uses = weights.reduce((sum, weight) => sum + weight.uses, 0);
  return `${weights.length} weights are read at ${uses} places: a copy for each would take ${formatBytes(savedBytes)} more`;
}

const kindNames: Readonly<Record<WeightGroup['kind'], string>> = {
  linear: 'linear layers',
  correction: 'outlier columns',
  table: 'tables',
};

const activationNames: Readonly<Record<NonNullable<WeightGroup['activations']>, string>> = {
  float: 'float',
  dynamic: '8 bits, at run time',
  static: '8 bits, fixed scale',
};

function renderWeights(groups: readonly WeightGroup[]): string {
  const right = { align: 'right' } as const;
  const columns = [
    { title: 'weights' },
    { title: 'stored as' },
    { title: 'activations' },
    { title: 'nodes', ...right },
    { title: 'tensors', ...right },
    { title: 'size', ...right },
  ];
  const rows = groups.map(({ kind, as, activations, nodes, weights, bytes }) => [
    kindNames[kind],
    as,
    activations ? activationNames[activations] : '',
    nodes,
    weights,
    formatBytes(bytes),
  ]);
  return renderTable(columns, rows);
}

function describeFloatNodes({ quantization: { scheme, floatNodes } }: OnnxInspection): string[] {
  const byReason = new Map<string, FloatNode[]>();
  for (const node of floatNodes) {
    const reason = node.reason ?? 'the graph does not tell why';
    byReason.set(reason, [...(byReason.get(reason) ?? []), node]);
  }
  const lines = [...byReason].map(([reason, nodes]) => `${listNames(nodes.map(({ node }) => node))}: ${reason}`);
  return [
    ...(scheme === undefined ? [] : [entry('scheme', `${scheme} (kdx.json)`)]),
    ...lines.map((line, i) => entry(i === 0 ? 'stayed float' : '', line)),
  ];
}

function describeRuntime({ runtime }: OnnxInspection): string[] {
  if (!runtime) return [];
  const { engine = 'ONNX Runtime', optimized, failure, processor, notes } = runtime;
  const lines = failure === undefined ? [] : [entry('runtime', `${engine}: no session could be created: ${failure}`)];
  if (optimized) {
    const { fused, unfusedProducts, dequantizedEachRun } = optimized;
    const names = listValues(fused).replaceAll('com.microsoft.', '');
    lines.push(entry('runtime', `${engine}: ${names === '' ? 'fuses nothing' : `fuses to ${names}`}`));
    if (unfusedProducts.length > 0)
      lines.push(entry('not fused', `${unfusedProducts.length} MatMulInteger, slow (${listNames(unfusedProducts)})`));
    const count = dequantizedEachRun.length;
    const matrices = count === 1 ? 'matrix' : 'matrices';
    if (count > 0)
      lines.push(entry('each run', `dequantizes ${count} ${matrices} whole (${listNames(dequantizedEachRun)})`));
  }
  return [...lines, entry('processor', processor.model), ...notes.map(item)];
}
