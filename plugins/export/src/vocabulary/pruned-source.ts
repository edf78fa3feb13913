/** A checkpoint with a pruned vocabulary, to be exported like any other. */
import { checkpointModel } from 'kdx/classifier';
import type { CheckpointSource } from '../export.ts';
import { pruneVocabulary, type Corpus, type PruneOptions, type PruneReport } from './prune.ts';

/** @throws KdxError of pruneVocabulary */
export async function pruneSource(
  source: CheckpointSource,
  corpus: Corpus,
  options: PruneOptions = {},
): Promise<{ readonly source: CheckpointSource; readonly report: PruneReport }> {
  const { config, weights, tokenizer, report } = await pruneVocabulary(
    { config: source.config, weights: source.checkpoint.weights, tokenizer: source.tokenizer },
    corpus,
    options,
  );
  const checkpoint = { ...source.checkpoint, config, weights, extra: new Map() };
  const model = () => Promise.resolve(checkpointModel(checkpoint));
  return { source: { ...source, config, tokenizer, checkpoint, model }, report };
}
