/** Which nodes read stored weights: products with a constant matrix, and lookups of rows of a constant table. */
import { consumers, producers, type Attribute, type Graph, type Node } from '../graph/index.ts';
import { storedConstants, type StoredConstant } from './stored-constants.ts';
import { storageOf, type Storage } from './weight-storage.ts';

/** When the values that a weight is multiplied with are quantized: never, in every run anew, by scales of the file. */
export type Activations = 'float' | 'dynamic' | 'static';

/** `correction`: a product of few float columns, added to that of an integer weight. */
export type ReadKind = 'linear' | 'correction' | 'table';

export interface WeightRead {
  readonly kind: ReadKind;
  readonly node: Node;
  readonly weight: StoredConstant;
  readonly storage: Storage;
  /** Names of the initializers that the weight is made of: itself, scales, zero points. */
  readonly parts: readonly string[];
  /** Undefined for a table. */
  readonly activations: Activations | undefined;
  /** Outputs come first in the stored matrix: [N, K]. */
  readonly transposed: boolean;
}

/** Inputs of an operator, by position. */
interface Reading {
  readonly kind: 'linear' | 'table';
  readonly weight: number;
  readonly scale?: number;
  readonly zeroPoint?: number;
  readonly activations?: Activations;
}

const linear = (weight: number, others: Omit<Reading, 'kind' | 'weight'> = {}): Reading[] => [
  { kind: 'linear', weight, ...others },
];
const tables = (...weights: number[]): Reading[] => weights.map((weight) => ({ kind: 'table', weight }));

/** Operators of the standard and of ONNX Runtime's own domain that read weights. */
const operators: ReadonlyMap<string, readonly Reading[]> = new Map([
  // The weight may be on either side.
  ['MatMul', [...linear(1), ...linear(0)]],
  ['Gemm', linear(1)],
  ['MatMulInteger', linear(1, { zeroPoint: 3, activations: 'dynamic' })],
  ['QLinearMatMul', linear(3, { scale: 4, zeroPoint: 5, activations: 'static' })],
  ['Gather', tables(0)],
  ['Slice', tables(0)],
  ['com.microsoft.FusedMatMul', linear(1)],
  ['com.microsoft.FusedGemm', linear(1)],
  ['com.microsoft.Attention', linear(1)],
  ['com.microsoft.QAttention', linear(1, { scale: 4, zeroPoint: 7, activations: 'dynamic' })],
  ['com.microsoft.QGemm', linear(3, { scale: 4, zeroPoint: 5, activations: 'static' })],
  ['com.microsoft.DynamicQuantizeMatMul', linear(1, { scale: 2, zeroPoint: 3, activations: 'dynamic' })],
  ['com.microsoft.MatMulIntegerToFloat', linear(1, { scale: 3, zeroPoint: 5, activations: 'dynamic' })],
  ['com.microsoft.MatMulNBits', linear(1, { scale: 2, zeroPoint: 3 })],
  ['com.microsoft.MatMulBnb4', linear(1, { scale: 2 })],
  ['com.microsoft.GatherBlockQuantized', [{ kind: 'table', weight: 0, scale: 2, zeroPoint: 3 }]],
  ['com.microsoft.EmbedLayerNormalization', tables(2, 3, 4)],
  [
    'com.microsoft.QEmbedLayerNormalization',
    [2, 3, 4].map((weight): Reading => ({ kind: 'table', weight, scale: weight + 6, zeroPoint: weight + 11 })),
  ],
]);

/** An operator as reports write it. */
export function operatorOf({ domain, opType }: Node): string {
  return domain === '' ? opType : `${domain}.${opType}`;
}

/** What a node is called in reports. */
export function nodeName(node: Node): string {
  return node.name || node.outputs.find((name) => name !== '') || node.opType;
}

/** Reads of weights of the outer graph, in graph order. Constant nodes must be initializers already. */
export function weightReads(graph: Graph): WeightRead[] {
  const wiring: Wiring = {
    constants: storedConstants(graph),
    makers: producers(graph),
    readers: consumers(graph),
  };
  const reads = graph.nodes.flatMap((node) => readsOfNode(node, wiring));
  const scales = new Set(reads.flatMap(({ weight, parts }) => parts.filter((name) => name !== weight.name)));
  const integers = new Map(reads.filter(isIntegerProduct).map((read) => [read.node, read]));
  return reads
    .filter(({ weight }) => !scales.has(weight.name))
    .map((read) => (isCorrection(read, integers, wiring) ? { ...read, kind: 'correction' } : read));
}

interface Wiring {
  readonly constants: ReadonlyMap<string, StoredConstant>;
  readonly makers: ReadonlyMap<string, Node>;
  readonly readers: ReadonlyMap<string, readonly Node[]>;
}

const weightTypes = /^(float(16|32|64)|bfloat16|u?int(4|8))$/;

function readsOfNode(node: Node, wiring: Wiring): WeightRead[] {
  const { constants } = wiring;
  const output = node.outputs[0] as string;
  if (constants.has(output) || (node.opType === 'Slice' && !slicesRows(node, constants))) return [];
  if (node.opType === 'Gather' && intOf(node.attributes['axis'], 0) !== 0) return [];
  return (operators.get(operatorOf(node)) ?? []).flatMap((reading): WeightRead[] => {
    const { kind } = reading;
    const weight = constants.get(node.inputs[reading.weight] ?? '');
    if (!weight || !weightTypes.test(weight.value.dtype)) return [];
    if (weight.value.dims.length < 2 || (kind === 'table' && weight.value.dims.length !== 2)) return [];
    const scale = scaleOf(node, reading, weight, wiring);
    const storage = storageOf(weight, scale && constants.get(scale.name)?.value, node, kind);
    const parts = [weight.name, scale?.name, scale?.zeroPoint].filter((name) => name !== undefined);
    const turns = weight.steps.filter(({ opType }) => opType === 'Transpose').length;
    return [
      {
        kind,
        node,
        weight,
        storage,
        parts: [...new Set(parts)],
        activations: kind === 'table' ? undefined : activationsOf(node, reading, wiring),
        transposed: (turns % 2 === 1) !== (intOf(node.attributes['transB'], 0) === 1),
      },
    ];
  });
}

/** Rows are sliced where 0 is the only axis. */
function slicesRows({ inputs }: Node, constants: Wiring['constants']): boolean {
  const axes = constants.get(inputs[3] ?? '')?.value.data;
  return axes?.length === 1 && Number(axes[0]) === 0;
}

interface Scale {
  /** Initializer. */
  readonly name: string;
  readonly zeroPoint?: string | undefined;
}

/** From the node's own inputs, a DequantizeLinear before or behind it, or a Mul behind it. */
function scaleOf(node: Node, reading: Reading, weight: StoredConstant, wiring: Wiring): Scale | undefined {
  const stored = (name: string | undefined) => wiring.constants.get(name ?? '')?.name;
  const { scale, zeroPoint } = reading;
  const own = zeroPoint === undefined ? undefined : stored(node.inputs[zeroPoint]);
  if (scale !== undefined) {
    const name = stored(node.inputs[scale]);
    return name === undefined ? undefined : { name, zeroPoint: own };
  }
  const before = weight.steps.find(({ opType }) => opType === 'DequantizeLinear');
  if (before) return { name: stored(before.inputs[1]) as string, zeroPoint: stored(before.inputs[2]) };
  if (/^float|^bfloat/.test(weight.value.dtype)) return undefined;
  for (let at: string | undefined = node.outputs[0]; at !== undefined;) {
    const reader: Node | undefined = wiring.readers
      .get(at)
      ?.find(({ opType }) => /^(Cast|Mul|DequantizeLinear)$/.test(opType));
    const other = reader?.inputs.find((name) => name !== at);
    const factor = reader?.opType === 'Cast' ? undefined : factorOf(other, wiring);
    if (factor !== undefined) return { name: factor, zeroPoint: own ?? stored(reader?.inputs[2]) };
    at = reader?.outputs[0];
  }
  return undefined;
}

/** The constant in a factor: itself, the second one of a product with the scale of an activation, or one looked up. */
function factorOf(name: string | undefined, { constants, makers }: Wiring): string | undefined {
  const constant = constants.get(name ?? '');
  const maker = constant ? constant.steps.at(-1) : makers.get(name ?? '');
  const stored = (inputs: readonly string[] = []) => inputs.flatMap((input) => constants.get(input)?.name ?? []);
  if (maker?.opType === 'Mul') return stored(maker.inputs).at(-1);
  return (
    constant?.name ?? (maker?.opType === 'Gather' || maker?.opType === 'Slice' ? stored(maker.inputs)[0] : undefined)
  );
}

/** A value may pass through these between being quantized and being read. */
const passing = /^(DequantizeLinear|Reshape|Transpose|Identity|Squeeze|Unsqueeze|Flatten)$/;

function activationsOf(
  node: Node,
  { weight, activations = 'float' }: Reading,
  { constants, makers }: Wiring,
): Activations {
  if (intOf(node.attributes['accuracy_level'], 0) === 4) return 'dynamic';
  let maker = makers.get(node.inputs[weight === 0 ? 1 : 0] ?? '');
  while (maker && passing.test(maker.opType)) maker = makers.get(maker.inputs[0] as string);
  if (maker?.opType === 'QuantizeLinear') return 'static';
  // Rows of a table are multiplied as they are stored.
  const table = maker?.opType === 'Gather' ? constants.get(maker.inputs[0] as string) : undefined;
  if (table && /int8/.test(table.value.dtype)) return 'static';
  return maker?.opType === 'DynamicQuantizeLinear' ? 'dynamic' : activations;
}

function isIntegerProduct({ node }: WeightRead): boolean {
  return /^(MatMulInteger|MatMulIntegerToFloat|DynamicQuantizeMatMul)$/.test(node.opType);
}

/** Whether a float product of fewer inputs is added to an integer product of as many outputs. */
function isCorrection(read: WeightRead, integers: ReadonlyMap<Node, WeightRead>, wiring: Wiring): boolean {
  const { node, kind, storage, weight } = read;
  const output = node.outputs[0] as string;
  if (kind !== 'linear' || storage.granularity !== undefined) return false;
  const adds = (wiring.readers.get(output) ?? []).filter(({ opType }) => opType === 'Add' || opType === 'Sum');
  return adds.some(({ inputs }) =>
    inputs.some((name) => {
      const other = name === output ? undefined : integerBehind(name, integers, wiring);
      if (!other) return false;
      const [rows, columns] = matrixSize(read);
      const [otherRows, otherColumns] = matrixSize(other);
      return weight.value.dims.length === 2 && rows < otherRows && columns === otherColumns;
    }),
  );
}

/** The integer product that a value is, scaled and with a bias added. */
function integerBehind(name: string, integers: ReadonlyMap<Node, WeightRead>, { constants, makers }: Wiring) {
  for (let maker = makers.get(name); maker;) {
    const read = integers.get(maker);
    if (read || !/^(Add|Mul|Cast)$/.test(maker.opType)) return read;
    const behind: Node[] = maker.inputs.flatMap((input) => (constants.has(input) ? [] : (makers.get(input) ?? [])));
    maker =
      behind.find((node) => integers.has(node) || node.opType === 'Cast') ??
      (behind.length === 1 ? behind[0] : undefined);
  }
  return undefined;
}

/** [K, N] */
export function matrixSize({ weight, transposed }: Pick<WeightRead, 'weight' | 'transposed'>): [number, number] {
  const [first, second] = weight.value.dims.slice(-2) as [number, number];
  return transposed ? [second, first] : [first, second];
}

function intOf(attribute: Attribute | undefined, otherwise: number): number {
  return attribute?.type === 'int' ? attribute.value : otherwise;
}
