/** Shapes that the operators of quantized files make; training has no use for them, so the operator table lacks them. */
import type { Node } from 'kdx/graph';
import type { Value } from 'kdx/ops';

type Output = Pick<Value, 'dtype' | 'shape'>;
type Inputs = readonly (Value | undefined)[];

/** In order; none for an operator that is not known. */
export function quantizedOutputs(node: Node, inputs: Inputs): readonly Output[] {
  const rule = rules[node.domain === '' ? node.opType : `${node.domain}.${node.opType}`];
  return rule ? rule(inputs, (name) => intOf(node, name)) : [];
}

type Rule = (inputs: Inputs, attribute: (name: string) => number | undefined) => readonly Output[];

const shapeOf = (value: Value | undefined) => value?.shape ?? [];

const rules: Readonly<Record<string, Rule>> = {
  DynamicQuantizeLinear: ([x]) => [
    { dtype: 'uint8', shape: shapeOf(x) },
    { dtype: 'float32', shape: [] },
    { dtype: 'uint8', shape: [] },
  ],
  QuantizeLinear: ([x, , zeroPoint]) => [{ dtype: zeroPoint?.dtype ?? 'uint8', shape: shapeOf(x) }],
  DequantizeLinear: ([x, scale]) => [{ dtype: scale?.dtype ?? 'float32', shape: shapeOf(x) }],
  MatMulInteger: ([a, b]) => [{ dtype: 'int32', shape: [...shapeOf(a).slice(0, -1), ...shapeOf(b).slice(-1)] }],
  'com.microsoft.MatMulNBits': ([a], attribute) => [
    { dtype: a?.dtype ?? 'float32', shape: [...shapeOf(a).slice(0, -1), attribute('N') ?? 0] },
  ],
  // Codes of 4 bits lie in bytes of two.
  'com.microsoft.GatherBlockQuantized': ([table, indices, scales], attribute) => {
    const [stored = 0] = shapeOf(table).slice(-1);
    const perElement = table?.dtype === 'uint8' ? 8 / (attribute('bits') ?? 4) : 1;
    const width = typeof stored === 'number' ? stored * perElement : stored;
    return [{ dtype: scales?.dtype ?? 'float32', shape: [...shapeOf(indices), width] }];
  },
};

function intOf({ attributes }: Node, name: string): number | undefined {
  const attribute = attributes[name];
  return attribute?.type === 'int' ? attribute.value : undefined;
}
