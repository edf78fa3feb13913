/** State of a training run on the device and on disk: parameters, optimizer moments, position. */
import { rm } from 'node:fs/promises';
import { readSafetensors, writeSafetensors } from '../checkpoint/index.ts';
import type { Engine, Variable } from '../engine/index.ts';
import { internal, KdxError } from '../errors/index.ts';
import { fileExists } from '../files/index.ts';
import type { Tensor } from '../graph/index.ts';
import type { Parameter } from '../nn/index.ts';
import type { LossScale } from './loss-scale.ts';
import { slots } from './step.ts';

/** Position of a run; everything random is derived from the seed and from this. */
export interface Position {
  /** Optimizer steps done. */
  readonly step: number;
  /** Time spent training so far. */
  readonly seconds: number;
  /** Work of the processors in that time, all threads of the process; undefined unless all of it was on a CPU. */
  readonly cpuSeconds?: number | undefined;
  /** Best value of the primary metric so far, and the step at which it was reached. */
  readonly best:
    { readonly value: number; readonly step: number; readonly metrics: Readonly<Record<string, number>> } | undefined;
  /** With float16 products. */
  readonly lossScale?: LossScale;
}

/** Variables of a run by their graph input names. */
export class TrainingState {
  readonly #engine: Engine;
  readonly #variables: ReadonlyMap<string, Variable>;
  /** Names of what is trained: the others are constants. */
  readonly #trained: readonly string[];

  private constructor(engine: Engine, variables: ReadonlyMap<string, Variable>, trained: readonly string[]) {
    this.#engine = engine;
    this.#variables = variables;
    this.#trained = trained;
  }

  /**
   * Moments start at 0; so do gradient sums, which exist with gradient accumulation only.
   * @param frozen constants of the run, by graph input; they are no part of what is read and saved
   * @param isFrozen parameters that have no moments
   */
  static async create(
    engine: Engine,
    parameters: readonly Parameter[],
    values: ReadonlyMap<string, Tensor>,
    accumulate: boolean,
    frozen: ReadonlyMap<string, Tensor> = new Map(),
    isFrozen: (parameter: Parameter) => boolean = () => false,
  ): Promise<TrainingState> {
    const tensors = new Map<string, Tensor>();
    const kinds = [slots.moment1, slots.moment2, ...(accumulate ? [slots.sum] : [])];
    for (const parameter of parameters) {
      const { name } = parameter;
      const value = values.get(name) as Tensor<'float32'> | undefined;
      if (!value) throw internal(`no initial value for ${name}`);
      tensors.set(name, value);
      for (const kind of isFrozen(parameter) ? [] : kinds)
        tensors.set(kind(name), values.get(kind(name)) ?? { ...value, data: new Float32Array(value.data.length) });
    }
    const trained = [...tensors.keys()];
    for (const [name, value] of frozen) tensors.set(name, value);
    const variables = await engine.storeAll([...tensors.values()]);
    const byName = new Map([...tensors.keys()].map((name, i) => [name, variables[i] as Variable]));
    return new TrainingState(engine, byName, trained);
  }

  variable(name: string): Variable {
    const variable = this.#variables.get(name);
    if (!variable) throw internal(`no state ${name}`);
    return variable;
  }

  /** The named variables by name. */
  select(names: readonly string[]): Record<string, Variable> {
    return Object.fromEntries(names.map((name) => [name, this.variable(name)]));
  }

  /** Those of the named graph inputs that are state. */
  among(inputs: readonly string[]): Record<string, Variable> {
    return this.select(inputs.filter((name) => this.#variables.has(name)));
  }

  /** Copies on the host, by name; everything trained by default. */
  async read(names: readonly string[] = this.#trained): Promise<Map<string, Tensor>> {
    const values = await this.#engine.read(names.map((name) => this.variable(name)));
    return new Map(names.map((name, i) => [name, values[i] as Tensor]));
  }

  async free(): Promise<void> {
    await this.#engine.free([...this.#variables.values()]);
  }
}

/** Writes everything that a resumed run needs; gradient sums are 0 between optimizer steps and are left out. */
export async function saveState(path: string, state: TrainingState, position: Position): Promise<void> {
  const tensors = new Map([...(await state.read())].filter(([name]) => !name.startsWith(slots.sum(''))));
  await writeSafetensors(path, tensors, { position: JSON.stringify(position) });
}

/** State and position of an interrupted run; undefined when there is none. */
export async function loadState(
  path: string,
): Promise<{ values: ReadonlyMap<string, Tensor>; position: Position } | undefined> {
  if (!(await fileExists(path))) return undefined;
  const { tensors, metadata } = await readSafetensors(path);
  const position = metadata['position'];
  if (position === undefined)
    throw new KdxError('corrupt-run', `${path} is not the state of a run`, {
      suggestions: ['start anew in another --out'],
    });
  return { values: tensors, position: JSON.parse(position) as Position };
}

export async function removeState(path: string): Promise<void> {
  await rm(path, { force: true });
}
