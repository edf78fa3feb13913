/** The head of a masked language model (BertForMaskedLM, DistilBert-, RobertaForMaskedLM); its decoder is the table of word embeddings. */
import type { GraphBuilder, Value } from '../ops/index.ts';
import { familyTraits, type BertArchitecture } from './architecture.ts';
import { activate, layerNorm, linear, type ParameterSource } from './layers.ts';
import { layerNormParameters, linearParameters, type Parameter } from './parameters.ts';

/** Parameters of the head beside the word embeddings, which it shares with the encoder. */
export function maskedLmParameters({ hiddenSize, vocabSize }: BertArchitecture): Parameter[] {
  return [
    ...linearParameters('cls.predictions.transform.dense', hiddenSize, hiddenSize),
    ...layerNormParameters('cls.predictions.transform.LayerNorm', hiddenSize),
    { name: 'cls.predictions.bias', shape: [vocabSize], kind: 'bias' },
  ];
}

/** Logits [n, vocab] of n tokens by their last hidden state [n, hidden]. */
export function maskedLmHead(
  g: GraphBuilder,
  architecture: BertArchitecture,
  parameter: ParameterSource,
  hidden: Value,
): Value {
  const { activation, layerNormEps } = architecture;
  return g.scope('predictions', () => {
    const dense = linear(g, hidden, parameter, 'cls.predictions.transform.dense');
    const inner = activate(g, dense, familyTraits(architecture).maskedLmActivation ?? activation);
    const transformed = layerNorm(g, inner, parameter, 'cls.predictions.transform.LayerNorm', layerNormEps);
    const decoder = g.transpose(parameter('bert.embeddings.word_embeddings.weight'), [1, 0]);
    return g.add(g.op('MatMul', [transformed, decoder]), parameter('cls.predictions.bias'));
  });
}
