/** Small models in a folder, an engine and data, for all tests of a file, and short runs on them. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before } from 'node:test';
import { bench, type BenchOptions, type BenchReport } from '../../plugins/bench/src/index.ts';
import { loadTaskData, type TaskData } from '../../src/data/index.ts';
import { openEngine, type Engine } from '../../src/engine/index.ts';
import { reviewsFolder } from '../support/tiny-classifier.ts';

export interface BenchScene {
  /** A path below the folder of a test file. */
  place(name: string): string;
  readonly engine: Engine;
  /** Reviews, their development set alone. */
  readonly data: TaskData;
  /** Without cold starts, unless they are asked for. */
  run(options?: Partial<BenchOptions>): Promise<BenchReport>;
}

export interface SceneOptions {
  /** Names of the models in the folder; default `teacher` and `student`. */
  readonly teacher?: string;
  readonly student?: string;
  readonly length: number;
  readonly seconds: number;
}

/** @param setUp puts the models into the folder */
export function useBenchScene(
  { teacher = 'teacher', student = 'student', length, seconds }: SceneOptions,
  setUp: (place: BenchScene['place']) => Promise<unknown>,
): BenchScene {
  let folder = '';
  let engine: Engine | undefined;
  let data: TaskData | undefined;
  const place = (name: string) => join(folder, name);
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'kdx-bench-test-'));
    engine = await openEngine({ device: 'cpu', threads: 1 });
    data = await loadTaskData({ task: 'sst2', dir: reviewsFolder }, { splits: ['dev'] });
    await setUp(place);
  });
  after(async () => {
    await engine?.close();
    await rm(folder, { recursive: true });
  });
  const scene: BenchScene = {
    place,
    get engine() {
      return engine as Engine;
    },
    get data() {
      return data as TaskData;
    },
    run: (options = {}) =>
      bench({
        teacher: place(teacher),
        students: [place(student)],
        engine: scene.engine,
        length,
        seconds,
        openings: 3,
        coldStarts: 0,
        ...options,
      }),
  };
  return scene;
}
