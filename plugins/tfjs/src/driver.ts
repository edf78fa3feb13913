/** Sessions and variables on TensorFlow.js, in the thread that calls. Variables are tensors that stay on its device. */
import type { Driver } from 'kdx/engine';
import { internal } from 'kdx/errors';
import type { DType, Graph } from 'kdx/graph';
import { fromTf, toTf } from './element-types.ts';
import { loadProgram, type Program } from './program.ts';
import type { TensorFlow, TfTensor } from './tensorflow.ts';

/** A session is made of a graph and the opset of the standard domain. */
export type TfjsSource = readonly [graph: Graph, opset: number];

interface Resident {
  readonly dtype: DType;
  readonly value: TfTensor;
}

/** @param isStopped asked before each node of a run */
export function openDriver(tf: TensorFlow, isStopped: () => boolean = () => false) {
  const programs = new Map<number, Program>();
  const variables = new Map<number, Resident>();
  const find = <T>(map: ReadonlyMap<number, T>, id: number, kind: string): T => {
    const found = map.get(id);
    if (found === undefined) throw internal(`there is no ${kind} ${id}`);
    return found;
  };
  const keep = (id: number, resident: Resident) => {
    variables.get(id)?.value.dispose();
    variables.set(id, resident);
  };
  const releaseSession = (id: number) => {
    find(programs, id, 'session').dispose();
    programs.delete(id);
  };
  const drop = (ids: readonly number[]) => {
    for (const id of ids) {
      find(variables, id, 'variable').value.dispose();
      variables.delete(id);
    }
  };
  return {
    createSession(id, graph, opset) {
      programs.set(id, loadProgram(tf, graph, opset));
      return { inputs: graph.inputs, outputs: graph.outputs };
    },
    run({ session, feeds, fetch, assign }) {
      const program = find(programs, session, 'session');
      const inputs = new Map<string, TfTensor>();
      const own: TfTensor[] = [];
      const outputs = new Map<string, TfTensor>();
      const kept = new Set<TfTensor>();
      try {
        for (const [name, value] of feeds) {
          const input = typeof value === 'number' ? find(variables, value, 'variable').value : toTf(tf, value);
          if (typeof value !== 'number') own.push(input);
          inputs.set(name, input);
        }
        const wanted = [...new Set([...assign.map(([name]) => name), ...fetch])];
        for (const [name, value] of program.run(inputs, wanted, isStopped)) outputs.set(name, value);
        const dtypeOf = (name: string) => program.graph.outputs.find((output) => output.name === name)?.dtype as DType;
        const results = fetch.map((name) => fromTf(outputs.get(name) as TfTensor, dtypeOf(name)));
        for (const [name, id] of assign) {
          const value = outputs.get(name) as TfTensor;
          kept.add(value);
          keep(id, { dtype: dtypeOf(name), value });
        }
        return results;
      } finally {
        for (const value of [...own, ...outputs.values()]) if (!kept.has(value)) value.dispose();
      }
    },
    releaseSession,
    put(ids, values) {
      const made = values.map((value): Resident => ({ dtype: value.dtype, value: toTf(tf, value) }));
      ids.forEach((id, i) => keep(id, made[i] as Resident));
    },
    get: (ids) =>
      ids.map((id) => {
        const { value, dtype } = find(variables, id, 'variable');
        return fromTf(value, dtype);
      }),
    drop,
    close() {
      for (const id of [...programs.keys()]) releaseSession(id);
      drop([...variables.keys()]);
    },
  } satisfies Driver<TfjsSource>;
}
