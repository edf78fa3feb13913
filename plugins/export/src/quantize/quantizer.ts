/** What a quantizer is: a scheme that turns a float graph, kdx's own or any other encoder's, into a smaller one. */
import type { z } from 'zod';
import type { Model } from 'kdx/graph';
import type { Calibration } from '../calibration.ts';
import type { Sensitivity } from './sensitivity.ts';

/** What became of a weight. */
export interface QuantizedTensor {
  /** Initializer of the float graph. */
  readonly name: string;
  /** Such as `int8 per channel`. */
  readonly as: string;
  readonly bytesBefore: number;
  /** With scales and zero points. */
  readonly bytesAfter: number;
}

/** A node that could have been quantized and was not. */
export interface KeptNode {
  readonly node: string;
  readonly opType: string;
  readonly reason: string;
}

export interface Quantized {
  readonly model: Model;
  readonly tensors: readonly QuantizedTensor[];
  readonly kept: readonly KeptNode[];
  /** Of every weight of a linear layer, the most sensitive first, where they were measured. */
  readonly sensitivities?: readonly Sensitivity[];
}

export interface Quantizer<Schema extends z.ZodObject = z.ZodObject> {
  /** As on the command line. */
  readonly name: string;
  /** One line for tables. */
  readonly summary: string;
  /** File name that transformers.js and Optimum look for, without `.onnx`: model_quantized, model_q4, ... */
  readonly fileName: string;
  /** Options with their defaults. */
  readonly options: Schema;
  /** Whether it looks at activations; without a calibration it then throws `needs-calibration`, or does less. */
  readonly calibration?: 'needed' | 'useful';
  /**
   * The same input, options and calibration sentences give the same bytes. A shared weight stays shared.
   * @param calibration undefined where there is no tokenizer, or nothing to run the model on
   */
  readonly quantize: (
    model: Model,
    options: z.output<Schema>,
    calibration?: Calibration,
  ) => Quantized | Promise<Quantized>;
}

/** Declares a quantizer. */
export function defineQuantizer<Schema extends z.ZodObject>(quantizer: Quantizer<Schema>): Quantizer<Schema> {
  return quantizer;
}
