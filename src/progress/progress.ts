/** How library code tells how far it is, without knowing who listens. */

/** Shown beside the bar in the order given: `{ loss: 0.4121, 'examples/s': 812 }`. */
export type ProgressFields = Readonly<Record<string, number | string>>;

export interface Progress {
  /**
   * Begins a stage, inside the one that is open if there is one. Without `total` the amount is unknown and no time left is shown.
   * `from` is what was done before (a resumed run), so that the rate counts only what is done now.
   */
  start(label: string, total?: number, from?: number): void;
  /** `done` counts from 0 to `total`, in the stage's own unit. Cheap: may be called at every step. */
  update(done: number, fields?: ProgressFields): void;
  /** One line that stays on the screen, such as the result of an epoch. */
  message(line: string): void;
  /** Ends the innermost stage, if one is open; or all of them, after a failure. */
  end(which?: 'all'): void;
}

/** Says nothing. */
export const silentProgress: Progress = {
  start() {},
  update() {},
  message() {},
  end() {},
};
