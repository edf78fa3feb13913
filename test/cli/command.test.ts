/** What all commands share: results, errors, exit codes, --json, interruption. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Parser } from '@oclif/core';
import { usageError } from '../../src/cli/usage.ts';
import { runSource, type RunOptions } from './program.ts';
import { Sample } from './sample.ts';

const sample = (words: readonly string[], options?: RunOptions) =>
  runSource('test/cli/sample-command.ts', words, options);

test('a result is text for people and one JSON object with --json', async () => {
  const [human, json] = await Promise.all([sample(['--outcome=ok']), sample(['--outcome=ok', '--json'])]);
  assert.deepEqual(human, { code: 0, stdout: 'the answer is 42\n', stderr: '' });
  assert.equal(json.code, 0);
  assert.deepEqual(JSON.parse(json.stdout), { answer: 42, device: 'auto' });
});

test("a user's mistake: code, message, what to do, exit code 2 or the error's own", async () => {
  const [human, json, gate] = await Promise.all([
    sample(['--outcome=mistake']),
    sample(['--outcome=mistake', '--json']),
    sample(['--outcome=gate']),
  ]);
  assert.equal(human.code, 2);
  assert.equal(human.stdout, '');
  assert.equal(human.stderr, 'Error [missing-tensor]: model.safetensors has no tensor a.b\nTry: first\n     second\n');
  assert.equal(json.code, 2);
  assert.deepEqual(JSON.parse(json.stdout), {
    error: {
      code: 'missing-tensor',
      message: 'model.safetensors has no tensor a.b',
      suggestions: ['first', 'second'],
    },
  });
  assert.equal(gate.code, 3);
});

test('our own fault is called a bug, with a stack on request', async () => {
  const [plain, debug, json] = await Promise.all([
    sample(['--outcome=bug']),
    sample(['--outcome=bug'], { env: { KDX_DEBUG: '1' } }),
    sample(['--outcome=bug', '--json']),
  ]);
  assert.equal(plain.code, 1);
  assert.match(plain.stderr, /^Error \[internal\]: x is undefined\nThis is a bug in kdx\.\nTry: KDX_DEBUG=1/);
  assert.doesNotMatch(plain.stderr, /sample\.ts/);
  assert.match(debug.stderr, /at Sample\.execute .*sample\.ts/);
  assert.equal((JSON.parse(json.stdout) as { error: { code: string } }).error.code, 'internal');
});

test('mistakes in the command line exit with 2 and say what to type', async () => {
  const [human, json] = await Promise.all([
    sample(['--outcome=ok', '--devise=cpu']),
    sample(['--outcome=ok', '--devise=cpu', '--json']),
  ]);
  assert.equal(human.code, 2);
  assert.equal(human.stdout, '');
  assert.equal(
    human.stderr,
    'Error [invalid-usage]: unknown flag --devise=cpu\nTry: --device instead of --devise\n     kdx sample --help\n',
  );
  assert.equal(json.code, 2);
  assert.equal((JSON.parse(json.stdout) as { error: { code: string } }).error.code, 'invalid-usage');
});

test("oclif's complaints are told as kdx tells errors", async () => {
  const cases: readonly [words: string[], message: RegExp][] = [
    [[], /^missing required flag --outcome$/],
    [
      ['--outcome=ok', '--device=gpu'],
      /^--device: expected one of auto, cpu, cuda, webgpu, or of several GPUs cuda:1, found 'gpu'$/,
    ],
    [['--outcome=ok', '--threads=two'], /^--threads: Expected an integer but received: two$/],
    [['--outcome=ok', '--lr=fast'], /^--lr: expected a number, found 'fast'$/],
    [['--outcome=ok', '--lr=2'], /^--lr: expected at most 1, found 2$/],
    [['--outcome=ok', 'stray'], /^Unexpected argument: stray$/],
    [['--outcome'], /^Flag --outcome expects one of these values: ok, /],
  ];
  const { flags, baseFlags, args } = Sample;
  for (const [argv, expected] of cases) {
    const complaint = await Parser.parse(argv, { flags: { ...baseFlags, ...flags }, args }).then(
      () => assert.fail(argv.join(' ')),
      (error: Error) => error,
    );
    const { code, message, exitCode } = usageError(complaint, Sample);
    assert.equal(code, 'invalid-usage');
    assert.equal(exitCode, 2);
    assert.match(message, expected);
  }
});

test('progress goes to stderr in lines, and not at all with --quiet', async () => {
  const [loud, quiet] = await Promise.all([
    sample(['--outcome=progress', '--json']),
    sample(['--outcome=progress', '--quiet', '--json']),
  ]);
  assert.match(loud.stderr, /^epoch 1\nworking: stopped at 4\/10 in \d+s\n$/);
  assert.deepEqual(JSON.parse(loud.stdout), { answer: 42, device: 'auto' });
  assert.equal(quiet.stderr, '');
});

test('the first Ctrl-C stops the work, with 130 and a way to go on', async () => {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    let sent = false;
    const { code, stdout, stderr } = await sample(['--outcome=wait', '--json'], {
      onStderr(child, text) {
        if (sent || !text.includes('ready')) return;
        sent = true;
        child.kill(signal);
      },
    });
    assert.equal(code, 130, stderr);
    assert.match(stderr, /stopping after this step/);
    assert.match(stderr, /Error \[interrupted\]: stopped as asked\nTry: the same command with --resume/);
    assert.equal((JSON.parse(stdout) as { error: { code: string } }).error.code, 'interrupted');
  }
});

test('the second Ctrl-C ends the process at once', async () => {
  let sent = 0;
  const { code } = await sample(['--outcome=stubborn'], {
    onStderr(child, text) {
      const wanted = text.includes('stopping') ? 2 : text.includes('ready') ? 1 : 0;
      for (; sent < wanted; sent++) child.kill('SIGINT');
    },
  });
  assert.equal(code, 130);
});
