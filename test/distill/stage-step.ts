/** Stages of named recipes, and their training steps, for models of which only the shapes matter. */
import assert from 'node:assert/strict';
import { checkDistillRecipe } from '../../plugins/distill/src/recipe/resolve.ts';
import type { StageRecipe } from '../../plugins/distill/src/recipe/schema.ts';
import { stageObjective } from '../../plugins/distill/src/stage.ts';
import type { TeacherModel } from '../../plugins/distill/src/teacher.ts';
import type { BertConfig } from '../../src/checkpoint/index.ts';
import { buildStep, type Step } from '../../src/train/index.ts';
import { configOf, type Size } from './methods/context.ts';

/** With dropout at every place where a BERT has it. */
export function trainedConfig(size: Partial<Size> = {}): BertConfig {
  const config = configOf({ layers: 2, width: 4, heads: 2, labels: 2, ...size });
  return { ...config, hiddenDropout: 0.1, attentionDropout: 0.2, classifierDropout: 0.3 };
}

/** Of a BERT: the embeddings, three in each layer that runs, the head's. */
export function dropoutSites(depth: number): number {
  return 1 + 3 * depth + 1;
}

export async function stagesOf(method: string, set: readonly string[] = []): Promise<readonly StageRecipe[]> {
  const { recipe, problems } = await checkDistillRecipe({ method, set, flags: { student: { layers: 2 } } });
  assert.deepEqual(problems, []);
  return recipe!.stages;
}

/** The step of the last stage, or of the named one, for 2 rows of 4 tokens. */
export async function stageStep(
  method: string,
  { student = trainedConfig(), teacher = trainedConfig({ layers: 4 }), set = [] as readonly string[], stage = '' } = {},
): Promise<Step> {
  const stages = await stagesOf(method, set);
  const chosen = stages.find(({ name }) => name === stage) ?? stages.at(-1)!;
  const objective = stageObjective(chosen, { student, teacher, regression: false }, [
    { ref: 'teacher', config: teacher } as TeacherModel,
  ]);
  const adamw = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.01 };
  return buildStep(objective, { rows: 2, length: 4 }, { adamw, clipNorm: 1, mode: 'update' });
}

/** Passes through attention, one for each layer that runs, of student and teacher together. */
export function attentions({ model }: Step): number {
  return model.graph.nodes.filter(({ opType, name }) => opType === 'Softmax' && name.startsWith('forward/')).length;
}
