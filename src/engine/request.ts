/** Checks a run against what the session says of its inputs and outputs, so that all mistakes are named before anything is computed. */
import { internal } from '../errors/index.ts';
import { elementCount, printType, storageLength, type Tensor, type ValueInfo } from '../graph/index.ts';
import type { RunRequest, Variable } from './engine.ts';
import type { RunCall, Signature } from './protocol.ts';

type Typed = Pick<Tensor, 'dtype' | 'dims'>;

/**
 * The run as the driver takes it.
 * @param isLive whether a variable is of this engine and not freed
 * @throws Error `internal: ...` with everything that is wrong
 */
export function checkedCall(
  session: number,
  name: string,
  { inputs, outputs }: Signature,
  request: RunRequest,
  isLive: (variable: Variable) => boolean,
): RunCall {
  const wrong: string[] = [];
  const infoIn = (infos: readonly ValueInfo[], key: string, kind: string): ValueInfo | undefined => {
    const info = infos.find((candidate) => candidate.name === key);
    if (!info)
      wrong.push(`there is no ${kind} ${JSON.stringify(key)}, only ${infos.map((each) => each.name).join(', ')}`);
    return info;
  };
  const checkVariable = (key: string, variable: Variable) => {
    if (!isLive(variable)) wrong.push(`variable ${variable.id} of ${key} is freed, or belongs to another engine`);
  };

  const feeds = Object.entries(request.feeds).map(([key, value]): RunCall['feeds'][number] => {
    const info = infoIn(inputs, key, 'input');
    if (info && !fits(value, info)) wrong.push(`input ${key} is ${printType(info)}, got ${print(value)}`);
    if (!('data' in value)) {
      checkVariable(key, value);
      return [key, value.id];
    }
    const expected = storageLength(value.dtype, elementCount(value.dims));
    if (value.data.length !== expected)
      wrong.push(`input ${key}: ${print(value)} has ${value.data.length} elements, not ${expected}`);
    return [key, value];
  });
  const missing = inputs.filter((input) => !Object.hasOwn(request.feeds, input.name));
  if (missing.length > 0) wrong.push(`inputs without a feed: ${missing.map((input) => input.name).join(', ')}`);

  for (const key of request.fetch) infoIn(outputs, key, 'output');
  const assign = Object.entries(request.assign ?? {}).map(([key, variable]): RunCall['assign'][number] => {
    const info = infoIn(outputs, key, 'output');
    if (info && !fits(variable, info))
      wrong.push(`output ${key} is ${printType(info)}, assigned to a variable of ${print(variable)}`);
    checkVariable(key, variable);
    return [key, variable.id];
  });
  const twice = assign.filter(([, id], i) => assign.findIndex(([, other]) => other === id) !== i);
  for (const [key, id] of twice) wrong.push(`variable ${id} is assigned more than once, also by output ${key}`);
  if (assign.length + request.fetch.length === 0) wrong.push('neither fetch nor assign names an output');

  if (wrong.length > 0) throw internal(`run of session ${name}: ${wrong.join('; ')}`);
  return { session, feeds, fetch: [...new Set(request.fetch)], assign };
}

function print({ dtype, dims }: Typed): string {
  return printType({ dtype, shape: dims });
}

/** Whether a tensor can be where an input or output is declared; symbolic dimensions take any size. */
function fits({ dtype, dims }: Typed, info: ValueInfo): boolean {
  if (dtype !== info.dtype) return false;
  const { shape } = info;
  if (!shape) return true;
  return shape.length === dims.length && shape.every((dim, axis) => typeof dim === 'string' || dim === dims[axis]);
}
