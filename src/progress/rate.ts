/** Rates and the time left of a stage of work. */

export interface Rate {
  /** Units of work per second since the start; NaN when nothing was done yet. */
  readonly perSecond: number;
  /** Milliseconds; undefined when the total is unknown or nothing was done yet. */
  readonly timeLeft: number | undefined;
}

/** @param elapsed milliseconds since `from` units were done */
export function rateOf(elapsed: number, done: number, total?: number, from = 0): Rate {
  const worked = done - from;
  if (worked <= 0 || elapsed <= 0) return { perSecond: Number.NaN, timeLeft: undefined };
  const timeLeft = total === undefined ? undefined : (Math.max(0, total - done) * elapsed) / worked;
  return { perSecond: (worked * 1000) / elapsed, timeLeft };
}

/** Milliseconds for people, two units at most: `42s`, `3m 05s`, `2h 07m`. */
export function formatDuration(milliseconds: number): string {
  const seconds = Math.round(milliseconds / 1000);
  if (seconds < 60) return `${seconds}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes}m ${pad(seconds % 60)}s`;
  return `${Math.floor(minutes / 60)}h ${pad(minutes % 60)}m`;
}

function pad(value: number): string {
  return String(value).padStart(2, '0');
}
