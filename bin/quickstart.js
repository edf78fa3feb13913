#!/usr/bin/env node
// The main job on the embedded fixture: finetune a tiny teacher, distil a student of half its layers, export, benchmark.
import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const out = join('runs', 'quickstart');
const data = ['--data', join('fixtures', 'tasks', 'reviews'), '--task', 'sst2'];
const config = join('fixtures', 'tasks', 'tokenizer', 'config.json');
const [teacher, student, exported] = ['teacher', 'student', 'exported'].map((name) => join(out, name));

const training = ['--epochs', '10', '--lr', '1e-3', '--max-length', '64', '--device', 'cpu'];
const commands = [
  ['finetune', '--config', config, ...data, '--out', teacher, ...training],
  ['distill', '--teacher', teacher, '--student', 'layers=2', '--method', 'kd', ...data, '--out', student, ...training],
  ['export', '--onnx', '--model', student, '--out', exported, ...data],
  ['bench', '--teacher', teacher, '--student', exported, '--length', '32', '--seconds', '15', ...data, '--out', out],
];

rmSync(join(root, out), { recursive: true, force: true });
mkdirSync(join(root, out), { recursive: true });
for (const words of commands) {
  console.log(`\n$ kdx ${words.join(' ')}`);
  const { status, signal } = spawnSync(process.execPath, [join(root, 'bin', 'run.js'), ...words], {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, KDX_CACHE: join(root, out, 'cache') },
  });
  if (status !== 0) {
    console.error(`\nThe quickstart stopped at: kdx ${words[0]}${signal ? ` (${signal})` : ''}`);
    process.exit(status ?? 130);
  }
}

console.log(`
Everything is in ${relative(process.cwd(), join(root, out)) || out}: the teacher, the student, the ONNX file in exported/onnx, bench.json.
Try it:  node bin/run.js predict --model ${exported} "the screen is never dull"
Yours:   node bin/run.js finetune --help`);
