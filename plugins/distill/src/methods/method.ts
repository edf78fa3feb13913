/** What a distillation method is. */
import type { ClassifierOutputs } from 'kdx/nn';
import type { StepContext } from 'kdx/train';
import type { Value } from 'kdx/ops';

/** The teacher's side of a step, as graph values of one batch. */
export interface TeacherValues {
  /** [rows, labels] */
  readonly logits: Value;
}

export interface Loss {
  readonly loss: Value;
  /** Terms of the loss, to be logged. */
  readonly metrics: Readonly<Record<string, Value>>;
}

export interface Method<Options> {
  readonly name: string;
  /** Appends the loss of a step to its graph. */
  loss(context: StepContext, student: ClassifierOutputs, teacher: TeacherValues, options: Options): Loss;
}

/** Declares a method. */
export function defineMethod<Options>(method: Method<Options>): Method<Options> {
  return method;
}
