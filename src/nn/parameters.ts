/** Parameters of encoders and classification heads: names, shapes, initial values, and their layout in checkpoints. */
import { internal } from '../errors/index.ts';
import { elementCount, type Tensor } from '../graph/index.ts';
import { familyTraits, physicalLayers, type BertArchitecture } from './architecture.ts';

export interface Parameter {
  /** Name in a Hugging Face checkpoint of BERT; the other names of DistilBERT and RoBERTa are translated when it is read or written. */
  readonly name: string;
  /** Shape in graphs. Linear weights are [in, out] there and [out, in] in checkpoints. */
  readonly shape: readonly number[];
  readonly kind: 'embedding' | 'linear' | 'bias' | 'scale';
}

/** Weight decay is for matrices only, not for biases and LayerNorm. */
export function isDecayed(parameter: Parameter): boolean {
  return parameter.kind === 'embedding' || parameter.kind === 'linear';
}

/** Weight and bias of a linear layer. */
export function linearParameters(name: string, inputs: number, outputs: number): Parameter[] {
  return [
    { name: `${name}.weight`, shape: [inputs, outputs], kind: 'linear' },
    { name: `${name}.bias`, shape: [outputs], kind: 'bias' },
  ];
}

/** Scale and bias of a LayerNorm. */
export function layerNormParameters(name: string, size: number): Parameter[] {
  return [
    { name: `${name}.weight`, shape: [size], kind: 'scale' },
    { name: `${name}.bias`, shape: [size], kind: 'bias' },
  ];
}

/** Parameters of the encoder, embeddings first; a shared layer is listed once. */
export function encoderParameters(architecture: BertArchitecture): Parameter[] {
  const { hiddenSize: hidden, intermediateSize: intermediate } = architecture;
  const embedding = (name: string, rows: number): Parameter => ({
    name: `bert.embeddings.${name}.weight`,
    shape: [rows, hidden],
    kind: 'embedding',
  });
  const layer = (index: number): Parameter[] => {
    const prefix = `bert.encoder.layer.${index}`;
    return [
      ...linearParameters(`${prefix}.attention.self.query`, hidden, hidden),
      ...linearParameters(`${prefix}.attention.self.key`, hidden, hidden),
      ...linearParameters(`${prefix}.attention.self.value`, hidden, hidden),
      ...linearParameters(`${prefix}.attention.output.dense`, hidden, hidden),
      ...layerNormParameters(`${prefix}.attention.output.LayerNorm`, hidden),
      ...linearParameters(`${prefix}.intermediate.dense`, hidden, intermediate),
      ...linearParameters(`${prefix}.output.dense`, intermediate, hidden),
      ...layerNormParameters(`${prefix}.output.LayerNorm`, hidden),
    ];
  };
  return [
    embedding('word_embeddings', architecture.vocabSize),
    embedding('position_embeddings', (architecture.firstPosition ?? 0) + architecture.maxPositions),
    ...(architecture.typeVocabSize > 0 ? [embedding('token_type_embeddings', architecture.typeVocabSize)] : []),
    ...layerNormParameters('bert.embeddings.LayerNorm', hidden),
    ...Array.from({ length: physicalLayers(architecture) }, (_, i) => layer(i)).flat(),
  ];
}

/** Classification or regression head, pooler included. */
export function headParameters(architecture: BertArchitecture, labels: number): Parameter[] {
  const hidden = architecture.hiddenSize;
  return [
    ...linearParameters(familyTraits(architecture).pooling, hidden, hidden),
    ...linearParameters('classifier', hidden, labels),
  ];
}

/** All parameters of a classifier with `labels` outputs (1 for regression). */
export function classifierParameters(architecture: BertArchitecture, labels: number): Parameter[] {
  return [...encoderParameters(architecture), ...headParameters(architecture, labels)];
}

/** Number of scalars, each shared tensor counted once. */
export function parameterCount(parameters: readonly Parameter[]): number {
  return parameters.reduce((sum, parameter) => sum + elementCount(parameter.shape), 0);
}

/** Draws from N(0, 1), in order. */
export type NormalSource = () => number;

/** Initial value as BERT has it: matrices N(0, initializerRange), biases 0, LayerNorm scale 1. */
export function initialValue(parameter: Parameter, range: number, normal: NormalSource): Tensor<'float32'> {
  const data = new Float32Array(elementCount(parameter.shape));
  if (parameter.kind === 'scale') data.fill(1);
  else if (parameter.kind !== 'bias') for (let i = 0; i < data.length; i++) data[i] = range * normal();
  return { dtype: 'float32', dims: parameter.shape, data };
}

/** Rows that are turned together, so that what is written next lies beside what was written. */
const CACHE_LINE = 16;

/** From the layout of checkpoints to that of graphs, and back: [out, in] and [in, out] change places. */
export function transposeLinear(value: Tensor<'float32'>): Tensor<'float32'> {
  const [rows, columns] = value.dims;
  if (rows === undefined || columns === undefined) throw internal('only a matrix can be transposed');
  const data = new Float32Array(value.data.length);
  for (let first = 0; first < rows; first += CACHE_LINE)
    for (let column = 0; column < columns; column++)
      for (let row = first; row < Math.min(first + CACHE_LINE, rows); row++)
        data[column * rows + row] = value.data[row * columns + column] as number;
  return { dtype: 'float32', dims: [columns, rows], data };
}

/** A checkpoint's tensor as graphs hold it. */
export function fromCheckpoint(parameter: Parameter, value: Tensor<'float32'>): Tensor<'float32'> {
  return parameter.kind === 'linear' ? transposeLinear(value) : value;
}

/** A graph's tensor as checkpoints hold it. */
export const toCheckpoint = fromCheckpoint;

/** Shape that a checkpoint must have for this parameter. */
export function checkpointShape(parameter: Parameter): readonly number[] {
  return parameter.kind === 'linear' ? [...parameter.shape].reverse() : parameter.shape;
}
