/** kdx predict: texts as arguments and lines, for people and as JSON. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Prediction } from '../../src/classifier/index.ts';
import { lineBatches } from '../../src/commands/line-batches.ts';
import { compiledKdx } from '../cli/compiled.ts';
import { writeTinyClassifier } from '../support/tiny-classifier.ts';

let model: string;
before(async () => {
  model = await mkdtemp(join(tmpdir(), 'kdx-predict-'));
  await writeTinyClassifier(model);
});
after(() => rm(model, { recursive: true }));

interface Session {
  readonly ended: Promise<{ readonly code: number | null; readonly stdout: string; readonly stderr: string }>;
  /** Waits until stdout has so many lines. */
  lines(count: number): Promise<string[]>;
  write(text: string): void;
  end(text?: string): void;
  kill(): void;
}

/** The program with a standard input that stays open. */
function start(...words: string[]): Session {
  const child = spawn(process.execPath, [compiledKdx(), 'predict', ...words], { stdio: ['pipe', 'pipe', 'pipe'] });
  let [stdout, stderr] = ['', ''];
  let notify = () => {};
  child.stdout.on('data', (data: Buffer) => {
    stdout += data.toString();
    notify();
  });
  child.stderr.on('data', (data: Buffer) => (stderr += data.toString()));
  // A program that ends with an error does not read its input.
  child.stdin.on('error', () => undefined);
  return {
    ended: new Promise((resolve) => child.on('close', (code) => resolve({ code, stdout, stderr }))),
    async lines(count) {
      while (stdout.split('\n').length <= count) await new Promise<void>((resolve) => (notify = resolve));
      return stdout.trimEnd().split('\n');
    },
    write: (text) => void child.stdin.write(text),
    end: (text = '') => void child.stdin.end(text),
    kill: () => void child.kill('SIGINT'),
  };
}

function run(words: readonly string[], input = '') {
  const session = start(...words);
  session.end(input);
  return session.ended;
}

test('arguments, lines and JSON agree', async () => {
  const texts = ['a clever battery', 'sloppy !', ''];
  const [args, piped, json] = await Promise.all([
    run(['--model', model, ...texts]),
    run(['--model', model], `${texts.join('\r\n')}\n`),
    run(['--model', model, '--json', '--quiet'], `${texts.slice(0, 2).join('\n')}\n\n`),
  ]);
  assert.equal(args.code, 0, args.stderr);
  assert.equal(piped.stdout, args.stdout);
  const { predictions, ...rest } = JSON.parse(json.stdout) as { model: string; predictions: Prediction[] };
  assert.deepEqual(rest, { model });
  assert.equal(args.stdout, predictions.map((p) => `${p.label}\t${p.score.toFixed(4)}\t${p.text}\n`).join(''));
  assert.deepEqual(
    predictions.map(({ text }) => text),
    texts,
  );
  for (const { logits } of predictions) assert.equal(logits.length, 2);
});

test('each line is answered as it comes, and Ctrl-C ends', async () => {
  const session = start('--model', model);
  session.write('first\n');
  const [answer] = await session.lines(1);
  assert.match(answer!, /^(negative|positive)\t[01]\.\d{4}\tfirst$/);
  session.write('second\n');
  assert.match((await session.lines(2))[1]!, /\tsecond$/);
  session.kill();
  assert.equal((await session.ended).code, 130);
});

test('pairs: a tab in a line, or --pair', async () => {
  const [line, flag] = await Promise.all([
    run(['--model', model, '--json'], 'a\tb\n'),
    run(['--model', model, '--json', 'a', '--pair', 'b']),
  ]);
  assert.equal(line.code, 0, line.stderr);
  assert.equal(line.stdout, flag.stdout);
  assert.equal((JSON.parse(line.stdout) as { predictions: Prediction[] }).predictions[0]!.pair, 'b');
});

test('mistakes end with exit code 2', async () => {
  const onnx = join(model, 'model.onnx');
  await writeFile(onnx, 'not a model');
  const cases: readonly [words: readonly string[], input: string, code: string, message: RegExp][] = [
    [['--model', model], '', 'invalid-usage', /there is no text, neither as argument nor on standard input/],
    [['x'], '', 'invalid-usage', /missing required flag --model/],
    [['--model', model, '--pairs', 'x'], '', 'invalid-usage', /unknown flag --pairs/],
    [
      ['--model', model, '--device', 'tpu', 'x'],
      '',
      'invalid-usage',
      /--device: expected one of auto, cpu, .*, found 'tpu'/,
    ],
    [['--model', model, 'x', 'y', '--pair', 'z'], '', 'invalid-usage', /--pair is the second text of one, found 2/],
    [['--model', model], 'good\na\tb\tc\n', 'invalid-text', /line 2 has 2 tabs/],
    [['--model', join(model, 'config.json'), 'x'], '', 'not-a-folder', /config\.json is a file/],
    [['--model', onnx, 'x'], '', 'corrupt-onnx', /model\.onnx/],
  ];
  await Promise.all(
    cases.map(async ([words, input, code, message]) => {
      const outcome = await run([...words, '--json'], input);
      assert.equal(outcome.code, 2, outcome.stderr);
      const { error } = JSON.parse(outcome.stdout) as {
        error: { code: string; message: string; suggestions: string[] };
      };
      assert.equal(error.code, code);
      assert.match(error.message, message);
      if (/there is no text/.test(error.message)) assert.match(error.suggestions[0]!, /^kdx predict --model .* "/);
    }),
  );
});

test('lines of a stream', async () => {
  async function* chunks(...parts: (string | Uint8Array)[]) {
    for (const part of parts) yield typeof part === 'string' ? new TextEncoder().encode(part) : part;
  }
  const all = async (...parts: (string | Uint8Array)[]) => {
    const batches: string[][] = [];
    for await (const batch of lineBatches(chunks(...parts))) batches.push(batch);
    return batches;
  };
  assert.deepEqual(await all(), []);
  assert.deepEqual(await all(''), []);
  assert.deepEqual(await all('a\nb\n'), [['a', 'b']]);
  assert.deepEqual(await all('a\r\n', 'b'), [['a'], ['b']]);
  assert.deepEqual(await all('a', 'b\n\n'), [['ab', '']]);
  const snowman = new TextEncoder().encode('☃\n');
  assert.deepEqual(await all(snowman.subarray(0, 2), snowman.subarray(2)), [['☃']], 'cut inside a character');
  const many = await all('x\n'.repeat(600));
  assert.deepEqual(
    many.map((batch) => batch.length),
    [256, 256, 88],
  );
});

test('help says how it is used', async () => {
  const { stdout, code } = await run(['--help']);
  assert.equal(code, 0);
  assert.match(stdout, /USAGE\s+\$ kdx predict \[TEXT\.\.\.\] --model DIR\|FILE/);
});
