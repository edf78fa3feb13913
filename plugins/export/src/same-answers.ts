/** Whether two files answer the same to the bit, on inputs that are made up from what the graph says of them. */
import { randomStream, type Random } from 'kdx/data';
import type { Engine } from 'kdx/engine';
import {
  allocate,
  bytesOf,
  elementCount,
  printType,
  type DType,
  type Graph,
  type Shape,
  type Tensor,
  type ValueInfo,
} from 'kdx/graph';

/** Whether the answers could be compared: they were, or the reason why not. */
export type AnswerCheck =
  | { readonly checked: true; readonly runs: number; readonly same: boolean; readonly difference?: string }
  | { readonly checked: false; readonly reason: string };

type Inputs = Readonly<Record<string, Tensor>>;
type Answers = Readonly<Record<string, Tensor>>;

/** Sizes of symbolic dimensions by axis: what an encoder takes as batch and length, and what others may insist on. */
const sizesTried = [
  [2, 7, 4],
  [1, 8, 8],
  [1, 1, 1],
] as const;
/** Elements of one input that are worth making up. */
const mostElements = 2 ** 24;

/**
 * Runs the file that a graph was read from and a file that should do the same.
 * @returns not checked when the graph takes what cannot be made up, or when the first file does not run, or gives
 * different answers twice
 */
export async function compareAnswers(
  graph: Graph,
  before: string,
  after: string,
  engine: Engine,
  signal: AbortSignal,
): Promise<AnswerCheck> {
  const odd = graph.inputs.find((input) => !isMakeable(input));
  if (odd) return { checked: false, reason: `no values can be made up for the input ${odd.name} ${printType(odd)}` };
  const cases = sizesTried.map((sizes, i) => makeInputs(graph, sizes, randomStream(i, 'made-up inputs')));
  const { answers, failure } = await answersOf(before, graph, cases, engine, signal, 2);
  const answered = cases.filter((_, i) => answers[i] !== undefined);
  if (answered.length === 0) return { checked: false, reason: `the file itself does not run: ${failure}` };
  const expected = answers.filter((pair) => pair !== undefined) as [Answers, Answers][];
  if (expected.some(([first, second]) => differentOutput(first, second) !== undefined))
    return { checked: false, reason: 'the file itself gives different answers to the same inputs' };

  const found = await answersOf(after, graph, answered, engine, signal, 1);
  const differences = expected.flatMap(([first], i) => {
    const [other] = found.answers[i] ?? [];
    if (!other) return [`it does not run: ${found.failure}`];
    return differentOutput(first, other) ?? [];
  });
  const [difference] = differences;
  const result = { checked: true, runs: expected.length, same: difference === undefined } as const;
  return difference === undefined ? result : { ...result, difference };
}

/** Answers to each case, `times` times; undefined for a case that fails. */
async function answersOf(
  file: string,
  { outputs }: Graph,
  cases: readonly Inputs[],
  engine: Engine,
  signal: AbortSignal,
  times: number,
): Promise<{ answers: (Answers[] | undefined)[]; failure: string }> {
  let failure = '';
  const fail = (error: unknown) => {
    failure ||= String((error as Error).message).split('\n')[0] as string;
    return undefined;
  };
  const session = await engine.createSession(file, { name: file }).catch(fail);
  if (!session) return { answers: cases.map(() => undefined), failure };
  try {
    const answers: (Answers[] | undefined)[] = [];
    for (const feeds of cases) {
      signal.throwIfAborted();
      const request = { feeds, fetch: outputs.map(({ name }) => name) };
      const runs = Array.from({ length: times }, () => session.run(request));
      answers.push(await Promise.all(runs).catch(fail));
    }
    return { answers, failure };
  } finally {
    await session.release();
  }
}

/** The first output whose bits, shape or type differ. */
function differentOutput(expected: Answers, found: Answers): string | undefined {
  const isSame = (a: Tensor, b: Tensor | undefined) =>
    b !== undefined && a.dtype === b.dtype && a.dims.join() === b.dims.join() && hasSameBits(a, b);
  const different = Object.entries(expected).find(([name, value]) => !isSame(value, found[name]));
  return different && `the output ${different[0]} differs`;
}

function hasSameBits(a: Tensor, b: Tensor): boolean {
  if (a.dtype === 'string') return JSON.stringify(a.data) === JSON.stringify(b.data);
  return Buffer.compare(bytesOf(a), bytesOf(b)) === 0;
}

const floats: readonly DType[] = ['float32', 'float64'];
const integers: readonly DType[] = ['int8', 'uint8', 'int16', 'uint16', 'int32', 'uint32', 'int64', 'uint64', 'bool'];

function isMakeable({ dtype, shape }: ValueInfo): boolean {
  if (!floats.includes(dtype) && !integers.includes(dtype)) return false;
  return shape !== undefined && elementCount(shape.filter((dim) => typeof dim === 'number')) <= mostElements;
}

function makeInputs(graph: Graph, sizes: readonly [number, number, number], random: Random): Inputs {
  const symbols = new Map<string, number>();
  const sizeOf = (shape: Shape) =>
    shape.map((dim, axis) => {
      if (typeof dim === 'number') return dim;
      const size = symbols.get(dim) ?? sizes[Math.min(axis, 2) as 0 | 1 | 2];
      symbols.set(dim, size);
      return size;
    });
  return Object.fromEntries(
    graph.inputs.map((input) => [input.name, makeTensor(input, sizeOf(input.shape as Shape), graph, random)]),
  );
}

function makeTensor({ name, dtype }: ValueInfo, dims: readonly number[], graph: Graph, random: Random): Tensor {
  const count = elementCount(dims);
  const data = allocate(dtype as 'float32', count) as { [index: number]: number | bigint };
  const bound = indexBound(graph, name);
  const isBig = dtype === 'int64' || dtype === 'uint64';
  for (let i = 0; i < count; i++) {
    if (floats.includes(dtype)) data[i] = 2 * random.nextFloat() - 1;
    else data[i] = isBig ? BigInt(random.int(bound)) : random.int(bound);
  }
  return { dtype, dims, data } as unknown as Tensor;
}

/** Integers below it are valid: rows of the smallest table that they pick from; otherwise they may be a mask. */
function indexBound({ nodes, initializers }: Graph, name: string): number {
  const rows = nodes
    .filter(({ opType, inputs }) => opType === 'Gather' && inputs[1] === name)
    .map(({ inputs, attributes: { axis } }) => {
      const { dims } = initializers.get(inputs[0] as string) ?? { dims: [] };
      return dims.at(axis?.type === 'int' ? axis.value : 0) ?? 2;
    });
  return rows.length > 0 ? Math.max(1, Math.min(...rows)) : 2;
}
