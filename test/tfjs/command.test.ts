/** `--engine tfjs` on the command line. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { runKdx } from '../cli/program.ts';
import { temporaryFolder, writeTinyClassifier } from '../support/tiny-classifier.ts';
import { fastest, skipOf } from './backends.ts';

interface Answer {
  readonly predictions: readonly { readonly label: string; readonly score: number }[];
}

describe('kdx predict --engine tfjs', () => {
  it('answers as ONNX Runtime does', { skip: skipOf[fastest] }, async (t) => {
    const model = await temporaryFolder(t);
    await writeTinyClassifier(model);
    const texts = ['a film to remember', 'never again'];
    const [mine, other] = await Promise.all(
      ['tfjs', 'ort'].map(async (engine) => {
        const words = ['predict', '--model', model, '--device', 'cpu', '--engine', engine, '--json', ...texts];
        const { code, stdout, stderr } = await runKdx(words);
        assert.equal(code, 0, stderr);
        return (JSON.parse(stdout) as Answer).predictions;
      }),
    );
    assert.deepEqual(
      mine!.map(({ label }) => label),
      other!.map(({ label }) => label),
    );
    mine!.forEach(({ score }, i) => assert.ok(Math.abs(score - other![i]!.score) < 1e-5));
  });

  it('a device that it does not have', async (t) => {
    const model = await temporaryFolder(t);
    await writeTinyClassifier(model);
    const words = ['predict', '--model', model, '--engine', 'tfjs', '--device', 'webgpu', 'text'];
    const { code, stderr } = await runKdx(words);
    assert.equal(code, 2);
    assert.match(stderr, /^Error \[device-unavailable\]: TensorFlow\.js has no WebGPU in Node\nTry: --device cpu/m);
  });
});
