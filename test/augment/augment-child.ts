/** Augments the reviews of fixtures/tasks, to be killed: arguments model and out; goes on where it was. */
import { loadTaskData } from '../../src/data/index.ts';
import { openEngine } from '../../src/engine/index.ts';
import { silentProgress } from '../../src/progress/index.ts';
import { augment, defaultRecipe } from '../../plugins/distill/src/augment/augment.ts';
import { reviewsFolder } from '../support/tiny-classifier.ts';

const [model, out] = process.argv.slice(2) as [string, string];
const engine = await openEngine({ device: 'cpu', threads: 1 });
await augment({
  model,
  data: await loadTaskData({ task: 'sst2', dir: reviewsFolder }, { splits: ['train'] }),
  out,
  recipe: { ...defaultRecipe, variants: 3 },
  resume: true,
  engine,
  progress: silentProgress,
  signal: new AbortController().signal,
});
await engine.close();
