/** The script of a fresh process that opens one model, runs it once and tells how long that took. Job on stdin. */
const processStart = performance.now();

import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import type { ColdStartJob, ColdStartSample, JobTensor } from './cold-start-job.ts';

const job = JSON.parse(readFileSync(0, 'utf8')) as ColdStartJob;

/** Reads a file through a small buffer, so that it is in the page cache and not in this process. */
function readThrough(path: string): void {
  const file = openSync(path, 'r');
  const buffer = Buffer.allocUnsafe(1 << 20);
  while (readSync(file, buffer) > 0);
  closeSync(file);
}

/** VmHWM on Linux: the maximum of getrusage also counts what the parent had at the time of the fork. */
function peakBytes(): number {
  const status = process.platform === 'linux' ? readFileSync('/proc/self/status', 'utf8') : '';
  return 1024 * Number(status.match(/^VmHWM:\s*(\d+) kB$/m)?.[1] ?? process.resourceUsage().maxRSS);
}

function dataOf({ type, values }: JobTensor): BigInt64Array | Int32Array | Float32Array | Uint8Array {
  switch (type) {
    case 'int64':
      return BigInt64Array.from(values, BigInt);
    case 'int32':
      return Int32Array.from(values);
    case 'float32':
      return Float32Array.from(values);
    case 'bool':
      return Uint8Array.from(values);
  }
}

const begin = performance.now();
const { InferenceSession, Tensor } = await import('onnxruntime-node');
const loaded = performance.now();
const baseline = process.memoryUsage.rss();
const readBegin = performance.now();
readThrough(job.file);
const readEnd = performance.now();
const session = await InferenceSession.create(job.file, job.sessionOptions);
const created = performance.now();
const afterCreate = process.memoryUsage.rss();
const feeds = Object.fromEntries(
  Object.entries(job.feeds).map(([name, feed]) => [name, new Tensor(feed.type, dataOf(feed), feed.dims)]),
);
const runBegin = performance.now();
await session.run(feeds);
const ran = performance.now();

const sample: ColdStartSample = {
  phasesMs: {
    processStart,
    moduleLoad: loaded - begin,
    read: readEnd - readBegin,
    sessionCreate: created - readEnd,
    firstRun: ran - runBegin,
  },
  memoryBytes: { baseline, afterCreate, afterFirstRun: process.memoryUsage.rss(), peak: peakBytes() },
};
process.stdout.write(JSON.stringify(sample));
