/** The inference graph of a classifier, with symbolic batch and length. */
import { internal } from '../errors/index.ts';
import { modelOf, withoutUnreadInputs, type Model, type Tensor } from '../graph/index.ts';
import {
  bertClassifier,
  bertInputs,
  classifierParameters,
  type BertArchitecture,
  type Parameter,
} from '../nn/index.ts';
import { GraphBuilder, type Value } from '../ops/index.ts';

/** Names of the symbolic dimensions, as Optimum writes them. */
export const BATCH = 'batch_size';
export const SEQUENCE = 'sequence_length';

/**
 * Inputs input_ids, attention_mask and, for a model that has token types, token_type_ids, int64
 * [batch_size, sequence_length]; output logits, [batch_size, labels].
 * @param parameters tensors in graph layout that become initializers, or `inputs` to leave every parameter a graph input
 * @param inPlaceOf what is read in place of a parameter, if anything
 */
export function classifierModel(
  architecture: BertArchitecture,
  labels: number,
  parameters: ReadonlyMap<string, Tensor> | 'inputs',
  inPlaceOf?: (g: GraphBuilder, parameter: Parameter, value: Value) => Value | undefined,
): Model {
  const g = new GraphBuilder();
  const inputs = bertInputs(g, [BATCH, SEQUENCE]);
  const values = new Map<string, Value>();
  for (const parameter of classifierParameters(architecture, labels)) {
    const { name, shape: dims } = parameter;
    const value =
      parameters === 'inputs'
        ? g.input(name, g.float, dims)
        : g.initializer(name, parameters.get(name) ?? missing(name));
    values.set(name, inPlaceOf?.(g, parameter, value) ?? value);
  }
  const { logits } = bertClassifier(g, architecture, (name) => values.get(name) ?? missing(name), inputs);
  g.output('logits', logits);
  return modelOf(withoutUnreadInputs(g.build('classifier')));
}

function missing(name: string): never {
  throw internal(`the classifier has no parameter ${name}`);
}
