/** What kdx knows of one operator: attribute types, inference, gradient, traits, on one screen. */
import type { Attribute, Tensor } from '../graph/index.ts';
import type { GraphBuilder } from './builder.ts';
import type { AttributesOf, InputsOf, OpType } from './signatures.ts';
import type { OutputType, Value } from './value.ts';

export interface InferContext<T extends OpType> {
  readonly inputs: InputsOf<T>;
  readonly attributes: AttributesOf<T>;
  /** Content of an input that is a constant; undefined when it is computed. */
  constant(input: Value): Tensor | undefined;
}

export interface GradientContext<T extends OpType> {
  readonly g: GraphBuilder;
  readonly inputs: InputsOf<T>;
  readonly outputs: readonly Value[];
  readonly attributes: AttributesOf<T>;
  /** Gradient of the loss with respect to the first output, of its shape. */
  readonly dy: Value;
  /** Whether the gradient of an input is wanted. */
  needs(input: number): boolean;
}

/**
 * Gradients with respect to each input, in order; undefined where none is wanted or none exists. A gradient may have
 * the broadcast shape: the walk sums it down to the shape of the input.
 */
export type GradientRule<T extends OpType> = (context: GradientContext<T>) => readonly (Value | undefined)[];

export interface Traits {
  /** Works element by element (with broadcasting between its inputs). */
  readonly elementwise?: boolean;
  /** Inputs that never get a gradient: indices, shapes, conditions. */
  readonly constantInputs?: readonly number[];
}

export interface OpEntry<T extends OpType> {
  readonly attributes: { readonly [K in keyof AttributesOf<T>]-?: Attribute['type'] | 'dtype' };
  /** Types of the outputs; throws when the inputs do not fit. */
  readonly infer: (context: InferContext<T>) => readonly OutputType[];
  /** `none`: no gradient flows through (integers, comparisons). `forbidden`: differentiating it is a mistake. */
  readonly gradient: GradientRule<T> | 'none' | 'forbidden';
  readonly traits: Traits;
}

export type OpTable<T extends OpType = OpType> = { readonly [K in T]: OpEntry<K> };
