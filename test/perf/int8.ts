/**
 * kdx's int8 file of a classifier against those of onnxruntime's quantize_dynamic (per channel, reduce_range; plain, and
 * after its own pre-processing): latency in interleaved rounds, and how near each is to the float file on real sentences.
 *
 *   node --conditions=source --import tsx test/perf/int8.ts --python PATH --model FOLDER [--data SST-2 --task sst2]
 *     [--length 128] [--threads 1] [--seconds 60] [--set key=value]...
 *
 * FOLDER is an export of kdx, with onnx/model.onnx.
 */
import { execFileSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { stopwatchOf } from '../../plugins/bench/src/stopwatch.ts';
import { calibrationOf, openScheme, paritySentences, quantizeModel } from '../../plugins/export/src/index.ts';
import { evaluationLength, openClassifier, openSource } from '../../src/classifier/index.ts';
import { argmaxRows, encodeExamples, loadTaskData, scoreTask } from '../../src/data/index.ts';
import { openEngine } from '../../src/engine/index.ts';
import { readModel, writeModel } from '../../src/onnx/index.ts';
import { silentProgress } from '../../src/progress/index.ts';
import { measure, measurementInputs, sentences } from '../../src/timing/index.ts';

const { values: flags } = parseArgs({
  options: {
    python: { type: 'string' },
    model: { type: 'string' },
    data: { type: 'string' },
    task: { type: 'string', default: 'sst2' },
    length: { type: 'string', default: '128' },
    threads: { type: 'string', default: '1' },
    seconds: { type: 'string', default: '60' },
    set: { type: 'string', multiple: true, default: [] },
  },
});
const { python, model: folder } = flags;
if (python === undefined || folder === undefined) throw new Error('--python and --model are needed');

const work = await mkdtemp(join(tmpdir(), 'kdx-int8-'));
const threads = Number(flags.threads);
const engine = await openEngine({ device: 'cpu', threads });
try {
  const source = await openSource(folder);
  const float = source.onnxFile as string;
  const files = {
    quantize_dynamic: join(work, 'plain.onnx'),
    'quantize_dynamic, pre-processed': join(work, 'preprocessed.onnx'),
    'kdx int8': join(work, 'kdx.onnx'),
  };
  const script = fileURLToPath(new URL('quantize_dynamic.py', import.meta.url));
  const [plain, preprocessed, own] = Object.values(files) as [string, string, string];
  execFileSync(python, [script, float, plain, preprocessed], { stdio: ['ignore', 'ignore', 'ignore'] });
  const signal = new AbortController().signal;
  const calibration = calibrationOf(source, paritySentences, { engine, progress: silentProgress, signal });
  const { model } = await quantizeModel(await readModel(float), await openScheme('int8', flags.set), calibration);
  await writeModel(own, model);

  if (flags.data !== undefined) await compareAnswers({ float, ...files }, flags.data);
  for (const reference of ['quantize_dynamic', 'quantize_dynamic, pre-processed'] as const)
    await compareTimes({ [reference]: files[reference], 'kdx int8': own, float }, reference);

  async function compareAnswers(paths: Readonly<Record<string, string>>, dir: string): Promise<void> {
    const { task, dev } = await loadTaskData({ task: flags.task, dir }, { splits: ['dev'] });
    const maxLength = Math.min(evaluationLength, source.config.maxPositions);
    const examples = encodeExamples(source.tokenizer, dev, maxLength);
    let expected: Float32Array | undefined;
    for (const [name, onnxFile] of Object.entries(paths)) {
      const classifier = await openClassifier({ ...source, onnxFile }, engine);
      // One text a run, as on a device: a dynamic scale depends on what else is in the batch.
      const { data } = await classifier.logits(examples, { batch: 1, maxLength });
      await classifier.release();
      expected ??= data;
      const [best, wanted] = [argmaxRows(data, task.outputs), argmaxRows(expected, task.outputs)];
      const rms = Math.sqrt(data.reduce((sum, x, i) => sum + (x - expected![i]!) ** 2, 0) / data.length);
      const same = best.filter((label, i) => label === wanted[i]).length / dev.length;
      const { primary } = scoreTask(task, data, examples.labels);
      console.log(
        `${name}: ${task.primary} ${primary.toFixed(4)}, agrees ${(100 * same).toFixed(2)} %, RMS ${rms.toFixed(4)}`,
      );
    }
  }

  async function compareTimes(paths: Readonly<Record<string, string>>, reference: string): Promise<void> {
    const length = Number(flags.length);
    const feeds = measurementInputs(source.tokenizer, { texts: sentences, batch: 1, length, seed: 0 });
    const sessionOptions = { intraOpNumThreads: threads, interOpNumThreads: 1, executionMode: 'sequential' };
    const models = Object.entries(paths).map(([name, file]) => ({ name, file, feeds, sessionOptions }));
    const { subjects, control, rounds, openings } = await measure({
      names: Object.keys(paths),
      reference,
      open: stopwatchOf(models),
      seed: 0,
      budgetSeconds: Number(flags.seconds),
      targetRounds: 200,
      targetHalfWidth: 0.01,
    });
    console.log(
      `\nagainst ${reference}: length ${length}, ${threads} thread(s), ${rounds} rounds in ${openings.length} processes`,
    );
    for (const { name, latencyMs, speedup } of subjects)
      console.log(
        `  ${name}: ${latencyMs.p50.toFixed(2)} ms` +
          (speedup
            ? `, x${speedup.ratio.toFixed(3)} as fast [${speedup.ci95?.map((x) => x.toFixed(3)).join(', ')}]`
            : ''),
      );
    console.log(`  control: x${control.speedup.ratio.toFixed(3)}${control.valid ? '' : ', INVALID RUN'}`);
  }
} finally {
  await engine.close();
  await rm(work, { recursive: true, force: true });
}
