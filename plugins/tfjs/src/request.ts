/** Checks a run against the graph's inputs and outputs, so that all mistakes are named before anything is computed. */
import type { RunRequest, Variable } from 'kdx/engine';
import { internal } from 'kdx/errors';
import { elementCount, printType, type Graph, type Tensor, type ValueInfo } from 'kdx/graph';
import type { RunCall } from './driver.ts';

/**
 * The run as the driver takes it.
 * @param isLive whether a variable is of this engine and not freed
 * @throws Error `internal: ...` with everything that is wrong
 */
export function checkedCall(
  session: number,
  name: string,
  { inputs, outputs }: Pick<Graph, 'inputs' | 'outputs'>,
  request: RunRequest,
  isLive: (variable: Variable) => boolean,
): RunCall {
  const wrong: string[] = [];
  const infoIn = (infos: readonly ValueInfo[], key: string, kind: string): ValueInfo | undefined => {
    const info = infos.find((candidate) => candidate.name === key);
    if (!info) wrong.push(`there is no ${kind} "${key}", only ${infos.map((each) => each.name).join(', ')}`);
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
    const expected = elementCount(value.dims);
    if (value.data.length !== expected)
      wrong.push(`input ${key}: ${print(value)} has ${value.data.length} elements, not ${expected}`);
    return [key, value];
  });
  const missing = inputs.filter((input) => !Object.hasOwn(request.feeds, input.name));
  if (missing.length > 0) wrong.push(`inputs without a feed: ${missing.map((input) => input.name).join(', ')}`);

  for (const key of request.fetch) infoIn(outputs, key, 'output');
  const takers = new Set<number>();
  const assign = Object.entries(request.assign ?? {}).map(([key, variable]): RunCall['assign'][number] => {
    const info = infoIn(outputs, key, 'output');
    if (info && !fits(variable, info))
      wrong.push(`output ${key} is ${printType(info)}, assigned to a variable of ${print(variable)}`);
    checkVariable(key, variable);
    if (takers.has(variable.id))
      wrong.push(`variable ${variable.id} is assigned more than once, also by output ${key}`);
    takers.add(variable.id);
    return [key, variable.id];
  });
  if (assign.length + request.fetch.length === 0) wrong.push('neither fetch nor assign names an output');

  if (wrong.length > 0) throw internal(`run of session ${name}: ${wrong.join('; ')}`);
  return { session, feeds, fetch: [...new Set(request.fetch)], assign };
}

type Typed = Pick<Tensor, 'dtype' | 'dims'>;

function print({ dtype, dims }: Typed): string {
  return printType({ dtype, shape: dims });
}

/** Whether a tensor can be where an input or output is declared; symbolic dimensions take any size. */
function fits({ dtype, dims }: Typed, { dtype: expected, shape }: ValueInfo): boolean {
  if (dtype !== expected) return false;
  if (!shape) return true;
  return shape.length === dims.length && shape.every((dim, axis) => typeof dim === 'string' || dim === dims[axis]);
}
