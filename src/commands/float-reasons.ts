/** Why a linear layer or table of a quantized file stayed float, as far as the graph tells. */
import { consumers, producers, type Graph, type Node } from '../graph/index.ts';
import { storedConstants } from './stored-constants.ts';
import { matrixSize, nodeName, type WeightRead } from './weight-reads.ts';

/** Says why for a read; undefined where the graph gives no reason. @param reads all of the graph */
export function floatReasons(graph: Graph, reads: readonly WeightRead[]): (read: WeightRead) => string | undefined {
  const heads = new Set(findHeads(graph, reads));
  const readers = consumers(graph);
  const outputs = new Set(graph.outputs.map(({ name }) => name));
  const hasQuantizedTable = reads.some(({ kind, storage }) => kind === 'table' && !/float/.test(storage.type));
  return (read) => {
    const { kind, node, weight } = read;
    const others = (readers.get(weight.name) ?? []).filter((other) => reads.every((one) => one.node !== other));
    const step = weight.steps.find(
      ({ opType }) => !/^(Transpose|Reshape|Identity|Cast|Squeeze|Unsqueeze)$/.test(opType),
    );
    const kinds = new Set(reads.filter((one) => one.weight.name === weight.name).map((one) => one.kind));
    if (kind === 'linear' && heads.has(node)) return 'classifier on top';
    if (outputs.has(weight.name)) return 'its weight is an output of the graph';
    if (step) return `its weight is computed by ${step.opType} ${nodeName(step)}`;
    if (weight.steps.length === 0 && others[0])
      return `${others[0].opType} ${nodeName(others[0])} reads its weight too`;
    if (kinds.size > 1) return 'its weight is both looked up and multiplied with';
    if (kind === 'table') return tableReason(read, hasQuantizedTable);
    if (weight.value.dims.length > 2) return `its weight has ${weight.value.dims.length} dimensions`;
    if (node.opType === 'MatMul' && weight.name === node.inputs[0]) return 'its weight is on the left';
    return node.opType === 'Gemm' ? gemmReason(node) : undefined;
  };
}

function tableReason({ node }: WeightRead, hasQuantizedTable: boolean): string | undefined {
  if (!hasQuantizedTable) return 'no table of the file is quantized';
  return node.opType === 'Slice' ? 'its rows are sliced, not looked up' : undefined;
}

function gemmReason({ attributes }: Node): string | undefined {
  for (const [name, neutral] of [
    ['transA', 0],
    ['alpha', 1],
    ['beta', 1],
  ] as const) {
    const attribute = attributes[name];
    const value = attribute?.type === 'int' || attribute?.type === 'float' ? attribute.value : neutral;
    if (value !== neutral) return `${name} of its Gemm is ${value}`;
  }
  return undefined;
}

/** Layers with fewer outputs than inputs behind which nothing comes but what depends on them alone. */
function findHeads(graph: Graph, reads: readonly WeightRead[]): Node[] {
  const constants = storedConstants(graph);
  const makers = producers(graph);
  return graph.outputs.flatMap(({ name }) => {
    for (let at: string | undefined = name; at !== undefined;) {
      const maker = makers.get(at);
      const read = reads.find(({ node, kind }) => node === maker && kind === 'linear');
      if (read) {
        const [inputs, outputs] = matrixSize(read);
        return outputs < inputs ? [read.node] : [];
      }
      const inputs: Set<string> = new Set(maker?.inputs.filter((input) => input !== '' && !constants.has(input)));
      at = inputs.size === 1 ? [...inputs][0] : undefined;
    }
    return [];
  });
}
