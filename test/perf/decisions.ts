/**
 * How often `kdx bench` decides rightly on this machine: runs of one file against itself, and against itself with every
 * time made longer by 10 % and by 3 %; and how often its gate alarms at 5 % between two such runs.
 *
 *   node --conditions=source --import tsx test/perf/decisions.ts --model FILE.onnx [--runs 30] [--length 16] [--seconds 20]
 */
import { parseArgs } from 'node:util';
import { decide, medianChange, type Series } from '../../plugins/bench/src/gate.ts';
import { startStopwatch } from '../../plugins/bench/src/stopwatch.ts';
import { openSource } from '../../src/classifier/index.ts';
import { coversOne, measure, measurementInputs, sentences, verdict, type Measurement } from '../../src/timing/index.ts';

const { values: flags } = parseArgs({
  options: {
    model: { type: 'string' },
    runs: { type: 'string', default: '30' },
    length: { type: 'string', default: '16' },
    seconds: { type: 'string', default: '20' },
  },
});
if (flags.model === undefined) throw new Error('--model is needed');
const { tokenizer, onnxFile } = await openSource(flags.model);
if (onnxFile === undefined) throw new Error('--model is an ONNX file or an exported folder');
const file = onnxFile;
const runs = Number(flags.runs);
const feeds = measurementInputs(tokenizer, { texts: sentences, batch: 1, length: Number(flags.length), seed: 0 });
const sessionOptions = { intraOpNumThreads: 1, interOpNumThreads: 1, executionMode: 'sequential' };
const factors: Readonly<Record<string, number>> = { reference: 1, same: 1, '10 % slower': 1.1, '3 % slower': 1.03 };

async function open(names: readonly string[]) {
  const opening = await startStopwatch(names.map((name) => ({ name, file, feeds, sessionOptions })));
  const slowed = opening.runs.map((run, i) => async (round: number) => {
    return Number(await run(round)) * factors[names[i]!]!;
  });
  return { ...opening, runs: slowed };
}

/** Times relative to the reference, as the gate has them. */
function seriesOf({ subjects, openings }: Measurement, name: string): Series {
  const [reference, subject] = ['reference', name].map((key) => subjects.find((each) => each.name === key)!.samplesMs);
  return { logs: subject!.map((ms, round) => Math.log(ms / reference![round]!)), openings };
}

const measured: Measurement[] = [];
for (let seed = 0; seed < runs; seed++)
  measured.push(
    await measure({
      names: Object.keys(factors),
      reference: 'reference',
      open,
      seed,
      budgetSeconds: Number(flags.seconds),
      targetRounds: 200,
    }),
  );

const spread = (values: readonly number[]): string => {
  const ordered = values.toSorted((a, b) => a - b);
  const [low, middle, high] = [0, Math.floor(values.length / 2), values.length - 1].map((i) => ordered[i]!.toFixed(3));
  return `${middle} (${low} to ${high})`;
};
const valid = measured.filter(({ control }) => control.valid).length;
console.log(
  `${runs} runs, ${spread(measured.map(({ openings }) => openings.length))} openings; control valid in ${valid}`,
);
for (const name of Object.keys(factors).slice(1)) {
  const speedups = measured.map(({ subjects }) => subjects.find((each) => each.name === name)!.speedup!);
  const said = (wanted: string) => speedups.filter((speedup) => verdict(speedup) === wanted).length;
  const halves = speedups.map(({ ci95 }) => Math.log(ci95![1] / ci95![0]) / 2);
  const gate = measured.slice(1).map((after, i) => {
    const change = medianChange(seriesOf(measured[i]!, 'same'), seriesOf(after, name), 0.05)!;
    return decide([{ change, worse: 'larger' }], 0.05)[0];
  });
  console.log(
    `${name}: x${spread(speedups.map(({ ratio }) => ratio))}, half-width ${spread(halves)}; ` +
      `covers 1 in ${speedups.filter(coversOne).length}, faster ${said('faster')}, slower ${said('slower')}; ` +
      `gate: ${gate.filter((each) => each === 'regression').length} alarms in ${gate.length}`,
  );
}
