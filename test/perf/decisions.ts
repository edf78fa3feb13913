/**
 * How often `kdx bench` decides rightly on this machine: runs of one file against itself, and against itself with every
 * time made longer by 10 % and by 3 %, each in a process of its own.
 *
 *   node --conditions=source --import tsx test/perf/decisions.ts --model FILE.onnx [--runs 30] [--length 16] [--seconds 4]
 */
import { parseArgs } from 'node:util';
import { startStopwatch } from '../../plugins/bench/src/stopwatch.ts';
import { openSource } from '../../src/classifier/index.ts';
import { coversOne, measure, measurementInputs, sentences, verdict, type Subject } from '../../src/timing/index.ts';

const { values: flags } = parseArgs({
  options: {
    model: { type: 'string' },
    runs: { type: 'string', default: '30' },
    length: { type: 'string', default: '16' },
    seconds: { type: 'string', default: '4' },
  },
});
if (flags.model === undefined) throw new Error('--model is needed');
const { tokenizer, onnxFile } = await openSource(flags.model);
if (onnxFile === undefined) throw new Error('--model is an ONNX file or an exported folder');
const runs = Number(flags.runs);
const feeds = measurementInputs(tokenizer, { texts: sentences, batch: 1, length: Number(flags.length), seed: 0 });
const sessionOptions = { intraOpNumThreads: 1, interOpNumThreads: 1, executionMode: 'sequential' };
const factors = { reference: 1, same: 1, '10 % slower': 1.1, '3 % slower': 1.03 };

const slowed = ({ name, run }: Subject, factor: number): Subject => ({
  name,
  run: async (round) => Number(await run(round)) * factor,
});

const seen = Object.keys(factors).map((name) => ({ name, coversOne: 0, faster: 0, slower: 0, ratios: [] as number[] }));
let validControls = 0;
for (let seed = 0; seed < runs; seed++) {
  const models = Object.keys(factors).map((name) => ({ name, file: onnxFile, feeds, sessionOptions }));
  const stopwatch = await startStopwatch(models);
  try {
    const subjects = stopwatch.subjects.map((subject, i) => slowed(subject, Object.values(factors)[i]!));
    const result = await measure({ subjects, reference: 'reference', seed, budgetSeconds: Number(flags.seconds) });
    if (result.control.valid) validControls++;
    result.subjects.forEach(({ speedup }, i) => {
      if (!speedup) return;
      const counts = seen[i]!;
      counts.ratios.push(speedup.ratio);
      if (coversOne(speedup)) counts.coversOne++;
      const said = verdict(speedup);
      if (said !== 'not distinguishable') counts[said]++;
    });
  } finally {
    stopwatch.close();
  }
}
console.log(`${runs} runs; control valid in ${validControls}`);
for (const { name, ratios, ...counts } of seen.slice(1)) {
  const ordered = ratios.toSorted((a, b) => a - b);
  const [low, middle, high] = [0, Math.floor(runs / 2), runs - 1].map((i) => ordered[i]!.toFixed(3));
  const { coversOne: covers, faster, slower } = counts;
  console.log(`${name}: x${middle} (${low} to ${high}); covers 1 in ${covers}, faster ${faster}, slower ${slower}`);
}
