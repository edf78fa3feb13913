/** What a distillation method is: its options, what it reads of the teacher, the loss that it appends to a step. */
import type { z } from 'zod';
import type { BertConfig } from 'kdx/checkpoint';
import type { Random } from 'kdx/data';
import type { DType, Tensor } from 'kdx/graph';
import type { BertInputs, ClassifierOutputs, Parameter } from 'kdx/nn';
import type { GraphBuilder, Value } from 'kdx/ops';
import type { Bucket } from 'kdx/train';
import type { MaskingVocabulary } from '../masking.ts';

/** The models of a stage, for what depends on their shapes. */
export interface Shapes {
  readonly student: BertConfig;
  /** Undefined where nobody teaches (finetuning). */
  readonly teacher: BertConfig | undefined;
  readonly regression: boolean;
}

/** What a method reads of the teacher. The first two can be cached, the others need the teacher in the step. */
export interface Taps {
  /** Logits of the plain examples. */
  readonly logits?: boolean;
  /** First token of these hidden states of the plain examples; 0 is the embedding output, n the output of layer n. */
  readonly firstTokens?: readonly number[];
  /** All inner values on the plain examples. */
  readonly outputs?: boolean;
  /** Any value on inputs that are drawn anew in each step. */
  readonly drawn?: boolean;
  /** The masked-language-model head. */
  readonly vocabulary?: boolean;
}

/** A model within a step. Values are made when first asked for, so what no loss reads costs nothing. */
export interface Model {
  readonly config: BertConfig;
  /** On the plain examples of the batch. */
  readonly outputs: ClassifierOutputs;
  /** One more pass on other inputs. */
  forward(inputs: BertInputs): ClassifierOutputs;
  /** Masked-language-model head: hidden states [n, hidden] to logits [n, vocabulary]. */
  vocabulary(hidden: Value): Value;
}

/** The teacher within a step: constants, no gradient, no dropout. */
export interface Teacher extends Model {
  /** Logits of each teacher on the plain examples, [rows, labels]; more than one is an ensemble. */
  readonly logits: readonly Value[];
  /** First token of a hidden state on the plain examples, [rows, hidden]. */
  firstToken(hiddenState: number): Value;
}

export interface MethodContext {
  readonly g: GraphBuilder;
  readonly bucket: Bucket;
  /** Plain inputs of the batch. */
  readonly inputs: BertInputs;
  /** int64 class ids or float targets, [rows] */
  readonly labels: Value;
  /** 1 for examples, 0 for filler rows, [rows] */
  readonly weights: Value;
  readonly regression: boolean;
  readonly student: Model;
  /** Throws where there is none: a method that reads it says so in its taps. */
  readonly teacher: Teacher;
  /** A parameter of the method itself, see `parameters`. */
  parameter(name: string): Value;
  /** An input that `draws` feeds. */
  input(name: string, dtype: DType, shape: readonly number[]): Value;
}

/** What is known of a batch on the host when a step is prepared. */
export interface DrawnBatch {
  /** Rows and padded length of the batch's tensors. */
  readonly bucket: Bucket;
  /** Examples; the rows after them repeat some and have weight 0. */
  readonly examples: number;
  /** int64 [rows, length] */
  readonly inputIds: Tensor<'int64'>;
  /** int64 [rows, length] */
  readonly attentionMask: Tensor<'int64'>;
  /** For masking; the last id is `size - 1`. */
  readonly vocabulary: MaskingVocabulary;
  /** The stream of that name for this batch, from the seed and the position in the run. */
  random(name: string): Random;
}

export interface Loss {
  /** Scalar. */
  readonly loss: Value;
  /** Terms of the loss, to be logged. */
  readonly metrics: Readonly<Record<string, Value>>;
}

export interface Method<Schema extends z.ZodObject = z.ZodObject> {
  readonly name: string;
  /** One line for tables. */
  readonly summary: string;
  /** Paper and equation. */
  readonly source: string;
  /** Options with their defaults; what is impossible between them is said by `problems`. */
  readonly options: Schema;
  /** Whether it reads labels or the student's classification head, which a corpus does not have. */
  readonly classifies?: true;
  /** Whether it hides tokens of the batch and the student needs a masked-language-model head for it. */
  readonly predictsTokens?: true;
  readonly taps: (options: z.output<Schema>, shapes: Shapes) => Taps;
  /** Why it cannot be applied to these models, and what to change; empty when it can. */
  readonly problems?: (options: z.output<Schema>, shapes: Shapes) => readonly string[];
  /** Parameters trained beside the student and not part of it. */
  readonly parameters?: (options: z.output<Schema>, shapes: Shapes) => readonly Parameter[];
  /** Feeds of the inputs that it draws for each batch, by input name. */
  readonly draws?: (options: z.output<Schema>, batch: DrawnBatch, shapes: Shapes) => Readonly<Record<string, Tensor>>;
  /** Appends the loss of a step to its graph. */
  readonly loss: (context: MethodContext, options: z.output<Schema>) => Loss;
}

/** Declares a method. */
export function defineMethod<Schema extends z.ZodObject>(method: Method<Schema>): Method<Schema> {
  return method;
}
