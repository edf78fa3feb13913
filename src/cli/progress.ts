/** Progress on a terminal: a bar that is redrawn, or plain lines now and then when stderr is a file or a pipe. */
import { formatDuration, rateOf, type Progress, type ProgressFields } from '../progress/index.ts';
import { significant } from './numbers.ts';

/** What is written to: process.stderr, or a test's collector. */
export interface ProgressStream {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
}

interface Stage {
  readonly label: string;
  readonly total: number | undefined;
  readonly from: number;
  readonly startedAt: number;
  done: number;
  fields: ProgressFields;
  drawnAt: number;
}

const barInterval = 100;
const lineInterval = 5000;
const barWidth = 20;
const clearLine = '\r\u001b[2K';

/** @param now milliseconds of a clock that never goes back; replaced in tests */
export function terminalProgress(stream: ProgressStream, now: () => number = () => performance.now()): Progress {
  const live = stream.isTTY === true;
  const stages: Stage[] = [];

  function draw(current: Stage): void {
    current.drawnAt = now();
    const text = describe(current, current.drawnAt - current.startedAt, live);
    if (live) stream.write(clearLine + text.slice(0, Math.max(20, (stream.columns ?? 80) - 1)));
    else stream.write(`${text}\n`);
  }

  /** A stage inside another one is only mentioned when it was long. */
  function end(): void {
    const stage = stages.pop();
    if (!stage) return;
    const { label, total, done, startedAt } = stage;
    const elapsed = now() - startedAt;
    const outer = stages.at(-1);
    if (live) stream.write(clearLine);
    if (!outer || elapsed >= lineInterval) {
      const amount = total === undefined ? `${done}` : `${done}/${total}`;
      const outcome = total !== undefined && done < total ? 'stopped at' : 'done,';
      stream.write(`${label}: ${outcome} ${amount} in ${formatDuration(elapsed)}\n`);
    }
    if (live && outer) draw(outer);
  }

  return {
    start(label, total, from = 0) {
      const startedAt = now();
      const stage = { label, total, from, startedAt, done: from, fields: {}, drawnAt: startedAt };
      stages.push(stage);
      if (live) draw(stage);
    },
    update(done, fields) {
      const stage = stages.at(-1);
      if (!stage) return;
      stage.done = done;
      if (fields) stage.fields = fields;
      if (now() - stage.drawnAt >= (live ? barInterval : lineInterval)) draw(stage);
    },
    message(line) {
      const stage = stages.at(-1);
      stream.write(`${live && stage ? clearLine : ''}${line}\n`);
      if (live && stage) draw(stage);
    },
    end(which) {
      // What is around a stage that failed is not worth a line.
      if (which === 'all') stages.splice(0, stages.length - 1);
      end();
    },
  };
}

function describe(stage: Stage, elapsed: number, withBar: boolean): string {
  const { label, total, done, from, fields } = stage;
  const { timeLeft } = rateOf(elapsed, done, total, from);
  const parts = [label];
  if (total === undefined) parts.push(`${done}`);
  else {
    const fraction = total > 0 ? Math.min(1, done / total) : 1;
    const filled = Math.round(fraction * barWidth);
    if (withBar) parts.push(`[${'#'.repeat(filled)}${'.'.repeat(barWidth - filled)}]`);
    parts.push(`${Math.floor(fraction * 100)}%`, `${done}/${total}`);
  }
  for (const [name, value] of Object.entries(fields)) parts.push(formatField(name, value));
  if (timeLeft !== undefined) parts.push(`${formatDuration(timeLeft)} left`);
  return parts.join('  ');
}

/** `loss 0.412`, but `812 examples/s`: a rate reads better before its unit. */
function formatField(name: string, value: number | string): string {
  const text = typeof value === 'number' ? significant(value) : value;
  return name.includes('/') ? `${text} ${name}` : `${name} ${text}`;
}
