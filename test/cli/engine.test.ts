/** Engines that plugins offer by the hook `kdx:engine`. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { withEngine, type EngineRequest, type HookRunner } from '../../src/cli/index.ts';
import type { Engine } from '../../src/engine/index.ts';

/** Plugins that answer with these, in order; an error is what a hook throws. */
function plugins(answers: readonly (Engine | Error | undefined)[], asked: EngineRequest[] = []): HookRunner {
  const runHook = (event: string, request: EngineRequest) => {
    assert.equal(event, 'kdx:engine');
    asked.push(request);
    const isError = (answer: unknown) => answer instanceof Error;
    return Promise.resolve({
      successes: answers.filter((answer) => !isError(answer)).map((result) => ({ result })),
      failures: answers.filter(isError).map((error) => ({ error })),
    });
  };
  return { runHook } as unknown as HookRunner;
}

function engineThatCloses(): { engine: Engine; closed: () => number } {
  let count = 0;
  const close = () => {
    count++;
    return Promise.resolve();
  };
  return { engine: { name: 'another', close } as unknown as Engine, closed: () => count };
}

describe('--engine', () => {
  it('takes the engine of the plugin that has it, and closes it', async () => {
    const { engine, closed } = engineThatCloses();
    const asked: EngineRequest[] = [];
    const config = plugins([undefined, engine], asked);
    const flags = { device: 'cpu', engine: 'tfjs', threads: 2, config } as const;
    assert.equal(await withEngine(flags, ({ name }) => Promise.resolve(name)), 'another');
    await assert.rejects(
      withEngine(flags, () => Promise.reject(new Error('failed'))),
      /failed/,
    );
    assert.deepEqual(asked[0], { name: 'tfjs', device: 'cpu', threads: 2 });
    assert.equal(closed(), 2);
  });

  it('says what to install when no plugin has it', async () => {
    for (const config of [plugins([]), plugins([undefined])])
      await assert.rejects(
        withEngine({ device: 'auto', engine: 'tfjs', config }, () => Promise.resolve()),
        { code: 'engine-missing', suggestions: ['npm install @kdx/tfjs', '--engine ort'] },
      );
  });

  it('passes on why a plugin cannot open it', async () => {
    const config = plugins([new Error('no TensorFlow.js')]);
    await assert.rejects(
      withEngine({ device: 'auto', engine: 'tfjs', config }, () => Promise.resolve()),
      /no TensorFlow/,
    );
  });

  it('ort needs no plugin', async () => {
    const name = await withEngine({ device: 'cpu', engine: 'ort', config: plugins([]) }, (engine) =>
      Promise.resolve(engine.name),
    );
    assert.match(name, /^onnxruntime /);
  });
});
