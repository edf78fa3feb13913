/** A tiny distillation to be killed, in a process of its own: what `run` takes, as JSON, and a device; goes on where it was. */
import { openEngine, type DeviceKind } from '../../src/engine/index.ts';
import { run, tinyData, type TinyRun } from './tiny-run.ts';

const given = JSON.parse(process.argv[2] as string) as TinyRun;
const device = (process.argv[3] ?? 'cpu') as DeviceKind;
let stage = '';
const progress = {
  start: (label: string) => void (stage = label),
  update: (done: number) => void process.stdout.write(`${stage} ${done}\n`),
  message: () => undefined,
  end: () => undefined,
};
const engine = await openEngine({ device, threads: 1 });
await run(engine, { ...given, data: await tinyData(), resume: true, progress });
await engine.close();
