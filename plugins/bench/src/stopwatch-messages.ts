/** What the stopwatch and its process tell each other. Types only. */

/** int64 inputs by name. */
export type Feeds = Readonly<Record<string, { readonly dims: readonly number[]; readonly data: BigInt64Array }>>;

/** Each gets one `StopwatchReply`; the next comes only after it. */
export type StopwatchRequest =
  | {
      readonly type: 'open';
      readonly file: string;
      /** Take turns, run by run. */
      readonly feeds: readonly Feeds[];
      readonly sessionOptions: Readonly<Record<string, unknown>>;
    }
  | { readonly type: 'run'; readonly session: number };

/** Number of the session that was opened, or milliseconds of the run. */
export type StopwatchReply = { readonly value: number } | { readonly error: string };
