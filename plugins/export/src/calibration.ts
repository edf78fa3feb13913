/** Real sentences run through a graph while its inner values are watched. */
import type { ClassifierSource } from 'kdx/classifier';
import { collate, encodedLengths, encodeExamples, type Example } from 'kdx/data';
import type { Engine } from 'kdx/engine';
import { infoOf, type Graph, type Model, type Tensor } from 'kdx/graph';
import type { Progress } from 'kdx/progress';
import { rewriteGraph } from './quantize/graph-rewrite.ts';

export type CalibrationText = Pick<Example, 'text' | 'pair'>;

/** Values by name, of one sentence: float32, batch dimension 1, no padding. */
export type Observed = ReadonlyMap<string, Tensor<'float32'>>;

export interface Calibration {
  readonly sentences: number;
  /**
   * Runs a classifier on every sentence and shows float32 values of it, inner ones or outputs.
   * @param model may be another one each time; it reads the inputs of BERT
   */
  observe(model: Model, names: readonly string[], visit: (values: Observed) => void): Promise<void>;
}

export interface CalibrationOptions {
  readonly engine: Engine;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

/** Longer sentences are cut to so many tokens. */
const LONGEST = 128;

/** Each sentence is run alone, so that no value comes from padding. */
export function calibrationOf(
  { tokenizer, config }: Pick<ClassifierSource, 'tokenizer' | 'config'>,
  texts: readonly CalibrationText[],
  { engine, progress, signal }: CalibrationOptions,
): Calibration {
  const examples = texts.map(({ text, pair }, id) => ({ id, text, ...(pair !== undefined && { pair }), label: 0 }));
  const encoded = encodeExamples(tokenizer, examples, Math.min(LONGEST, config.maxPositions));
  const lengths = encodedLengths(encoded);
  return {
    sentences: texts.length,
    async observe(model, names, visit) {
      const graph = withOutputs(model.graph, names);
      const session = await engine.createSession(
        { ...model, graph },
        {
          name: 'calibration',
          optimization: 'basic',
          prepacking: false,
        },
      );
      try {
        progress.start('calibrating', texts.length);
        for (const [i, length] of lengths.entries()) {
          signal.throwIfAborted();
          const inputs: Record<string, Tensor> = { ...collate(encoded, { indices: [i], length }) };
          const feeds = Object.fromEntries(session.inputs.map((name) => [name, inputs[name] as Tensor]));
          visit(new Map(Object.entries(await session.run({ feeds, fetch: names }))) as Observed);
          progress.update(i + 1);
        }
        progress.end();
      } finally {
        await session.release();
      }
    },
  };
}

/** The graph with these outputs instead of its own, and without what they do not need. */
function withOutputs(graph: Graph, names: readonly string[]): Graph {
  const outputs = names.map((name) => infoOf(graph, name) ?? { name, dtype: 'float32' as const, shape: undefined });
  return rewriteGraph({ ...graph, outputs }, { nodes: new Map(), initializers: new Map() });
}
