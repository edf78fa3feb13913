/** Encoders as exporters write them that know nothing of sharing: every layer has copies of its own. */
import { modelOf, tensor, tensorOf } from '../../src/graph/index.ts';
import type { Attribute, Model, Node, Tensor } from '../../src/graph/index.ts';
import { graphOf, info, node } from '../onnx/samples.ts';
import { seeded } from '../support/seeded.ts';

export interface EncoderSize {
  readonly layers: number;
  /** Layers with weights of their own; the others repeat them in turn. */
  readonly unique: number;
  readonly hidden: number;
  readonly intermediate: number;
  readonly vocabulary: number;
}

/** How a layer has its matrices: initializers, Constant nodes, or transposed before a Transpose node. */
export type Style = 'initializer' | 'constant' | 'transposed';

export const small: EncoderSize = { layers: 12, unique: 1, hidden: 64, intermediate: 256, vocabulary: 500 };

/** Words to logits [batch, 3]: one attention head, post-LayerNorm, Gelu with Erf, a Gemm as the head. */
export function encoder(size: EncoderSize, styles: readonly Style[] = ['initializer']): Model {
  const { layers, unique, hidden, intermediate, vocabulary } = size;
  const initializers = new Map<string, Tensor>();
  const nodes: Node[] = [];
  let count = 0;
  const op = (opType: string, inputs: string[], attributes: Record<string, Attribute> = {}) => {
    const output = `v${count++}`;
    nodes.push(node(opType, inputs, [output], attributes));
    return output;
  };
  const weight = (name: string, value: Tensor, style: Style = 'initializer') => {
    if (style === 'constant') return op('Constant', [], { value: { type: 'tensor', value } });
    initializers.set(name, style === 'transposed' ? transposed(value as Tensor<'float32'>) : value);
    return style === 'transposed' ? op('Transpose', [name], { perm: { type: 'ints', value: [1, 0] } }) : name;
  };
  const linear = (x: string, name: string, layer: number, dims: [number, number], style: Style) => {
    const product = op('MatMul', [x, weight(`${name}.weight`, random(`${layer}${name.slice(-3)}w`, dims), style)]);
    return op('Add', [product, weight(`${name}.bias`, random(`${layer}${name.slice(-3)}b`, [dims[1]]))]);
  };
  const norm = (x: string, name: string, layer: number) =>
    op('LayerNormalization', [
      x,
      weight(`${name}.weight`, random(`${layer}${name.slice(-3)}g`, [hidden])),
      weight(`${name}.bias`, random(`${layer}${name.slice(-3)}h`, [hidden])),
    ]);
  const scalar = (name: string, value: number) => weight(name, tensorOf('float32', [], [value]));

  let x = op('Gather', [weight('embeddings.weight', random('embeddings', [vocabulary, hidden])), 'input_ids']);
  for (let depth = 0; depth < layers; depth++) {
    const style = styles[depth % styles.length] as Style;
    const layer = depth % unique;
    const name = (part: string) => `encoder.${depth}.${part}`;
    const square: [number, number] = [hidden, hidden];
    const [q, k, v] = ['qry', 'key', 'val'].map((part) => linear(x, name(part), layer, square, style)) as [
      string,
      string,
      string,
    ];
    const scores = op('MatMul', [q, op('Transpose', [k], { perm: { type: 'ints', value: [0, 2, 1] } })]);
    const scaled = op('Div', [scores, scalar(name('scale'), Math.sqrt(hidden))]);
    const context = op('MatMul', [op('Softmax', [scaled], { axis: { type: 'int', value: -1 } }), v]);
    const attended = norm(op('Add', [linear(context, name('out'), layer, square, style), x]), name('ln1'), layer);
    const inner = linear(attended, name('ff1'), layer, [hidden, intermediate], style);
    const erf = op('Erf', [op('Div', [inner, scalar(name('sqrt2'), Math.SQRT2)])]);
    const gelu = op('Mul', [op('Mul', [inner, op('Add', [erf, scalar(name('one'), 1)])]), scalar(name('half'), 0.5)]);
    const outer = linear(gelu, name('ff2'), layer, [intermediate, hidden], style);
    x = norm(op('Add', [outer, attended]), name('ln2'), layer);
  }
  const first = op('Gather', [x, weight('zero', tensorOf('int64', [], [0]))], { axis: { type: 'int', value: 1 } });
  nodes.push(node('Gemm', [first, weight('head.weight', random('head', [3, hidden]))], ['logits'], { transB: one }));
  const ids = info('input_ids', ['batch', 'length'], 'int64');
  return modelOf(graphOf({ inputs: [ids], outputs: [info('logits', ['batch', 3])], initializers, nodes }));
}

const one: Attribute = { type: 'int', value: 1 };

/** The same for the same name, in memory of its own. */
export function random(name: string, dims: readonly number[], scale = 0.2): Tensor<'float32'> {
  const source = seeded([...name].reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) | 0, 7));
  const count = dims.reduce((product, dim) => product * dim, 1);
  return tensor(
    'float32',
    dims,
    Float32Array.from({ length: count }, () => scale * (source.float() - 0.5)),
  );
}

/** [a, b] to [b, a] */
export function transposed({ dims, data }: Tensor<'float32'>): Tensor<'float32'> {
  const [rows, columns] = dims as [number, number];
  const turned = Float32Array.from(data, (_, i) => data[(i % rows) * columns + Math.floor(i / rows)] as number);
  return tensor('float32', [columns, rows], turned);
}

/** Bytes of the weights, each content counted once. */
export function uniqueBytes({ unique, hidden: h, intermediate: f, vocabulary }: EncoderSize): number {
  return 4 * (vocabulary * h + 3 * h + unique * (4 * (h * h + h) + 2 * h * f + f + h + 4 * h));
}
