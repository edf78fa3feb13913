/** The attributes of a node in the types of the operator table. */
import { dtypeCodes, type DType, type Node, type Tensor } from 'kdx/graph';
import { ops, type AttributesOf, type OpType } from 'kdx/ops';
import { held } from './element-types.ts';

/** Attributes that the table does not have, with the value that changes nothing. */
const neutral: Readonly<Record<string, number>> = { allowzero: 0, noop_with_empty_axes: 0, stash_type: 1 };

/** @throws Error for an attribute that is not known, or an element type that TensorFlow.js does not have */
export function attributesOf<T extends OpType>(type: T, node: Node): Partial<AttributesOf<T>> {
  const known = ops[type].attributes as Readonly<Record<string, string>>;
  const entries = Object.entries(node.attributes).flatMap(([key, { value }]): [string, unknown][] => {
    if (known[key] === 'dtype') return [[key, dtypeOf(value as number)]];
    if (known[key] === 'tensor') held((value as Tensor).dtype);
    if (known[key] !== undefined) return [[key, value]];
    if (neutral[key] === value) return [];
    throw new Error(`${type} with the attribute ${key} is not supported`);
  });
  return Object.fromEntries(entries) as Partial<AttributesOf<T>>;
}

function dtypeOf(code: number): DType {
  const found = (Object.keys(dtypeCodes) as DType[]).find((dtype) => dtypeCodes[dtype] === code);
  if (!found) throw new Error(`element type ${code} is not known`);
  held(found);
  return found;
}
