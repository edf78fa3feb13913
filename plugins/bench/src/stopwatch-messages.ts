/** What the stopwatch and its process tell each other. Types only. */
import type { ModelInput } from './bench-source.ts';

/** Inputs by name. */
export type WireFeeds = Readonly<
  Record<string, { readonly dims: readonly number[]; readonly data: BigInt64Array | Int32Array }>
>;

/** A text or a pair. */
export interface Row {
  readonly text: string;
  readonly pair?: string;
}

/** Texts that are tokenized within the time that is taken. */
export interface TextInputs {
  /** Folder with the tokenizer's files. */
  readonly tokenizer: string;
  /** Take turns, run by run. */
  readonly batches: readonly (readonly Row[])[];
  readonly inputs: readonly ModelInput[];
  readonly maxLength: number;
}

/** Each gets one `StopwatchReply`; the next comes only after it. */
export type StopwatchRequest =
  | {
      readonly type: 'open';
      readonly file: string;
      /** Tensors that take turns, run by run, or texts. */
      readonly feeds: readonly WireFeeds[] | TextInputs;
      readonly sessionOptions: Readonly<Record<string, unknown>>;
    }
  | {
      readonly type: 'run';
      readonly session: number;
      /** Which of the inputs, which come round again. */
      readonly turn: number;
    };

/** Number of the session that was opened, or milliseconds of the run. */
export type StopwatchReply = { readonly value: number } | { readonly error: string };
