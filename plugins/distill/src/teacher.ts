/** Teachers: finetuned classifiers, or a pretrained encoder where plain text is all that is taught with. */
import { loadCheckpoint, type BertConfig, type Checkpoint } from 'kdx/checkpoint';
import { openSource, softmax, type ClassifierSource } from 'kdx/classifier';
import { loadTokenizer, type Tokenizer } from 'kdx/data';
import { sha256, sha256File } from 'kdx/files';
import { bytesOf, type Tensor } from 'kdx/graph';
import type { TeacherRows } from './teacher-cache.ts';

export interface TeacherModel {
  /** As the user called it. */
  readonly ref: string;
  readonly dir: string;
  readonly config: BertConfig;
  readonly tokenizer: Tokenizer;
  /** Undefined for an ONNX file, which gives logits and nothing else. */
  readonly checkpoint: Checkpoint | undefined;
  /** Undefined for an encoder without a classification head. */
  readonly classifier: ClassifierSource | undefined;
  /** Hash of everything that its function depends on. */
  readonly hash: string;
}

/** Whether a teacher reads texts with another tokenizer than that of the student. */
export function ownTokens(teacher: Pick<TeacherModel, 'tokenizer'>, tokenizer: Tokenizer): boolean {
  return teacher.tokenizer.hash !== tokenizer.hash;
}

/** Hash of everything that decides what a teacher says to a student, where both read the same texts. */
export function teachingHash(teacher: Pick<TeacherModel, 'tokenizer' | 'hash'>, tokenizer: Tokenizer): string {
  return ownTokens(teacher, tokenizer) ? sha256(teacher.hash, teacher.tokenizer.hash) : teacher.hash;
}

/** @param needsHead whether it has to be a classifier @throws KdxError of openSource and loadCheckpoint */
export async function openTeacher(ref: string, needsHead: boolean): Promise<TeacherModel> {
  if (!needsHead) {
    const checkpoint = await loadCheckpoint(ref);
    const { config, dir } = checkpoint;
    const tokenizer = await loadTokenizer(dir);
    return { ref, dir, config, tokenizer, checkpoint, classifier: undefined, hash: checkpointHash(checkpoint) };
  }
  const classifier = await openSource(ref);
  const { dir, config, tokenizer, checkpoint, onnxFile } = classifier;
  const hash = checkpoint
    ? checkpointHash(checkpoint)
    : sha256(await sha256File(onnxFile as string), JSON.stringify(config.raw));
  return { ref, dir, config, tokenizer, checkpoint, classifier, hash };
}

function checkpointHash({ weights, config }: Checkpoint): string {
  return sha256(weightsHash(weights), JSON.stringify(config.raw));
}

/** Hash of named tensors, whatever their order and however they are spread over files. */
export function weightsHash(weights: ReadonlyMap<string, Tensor<'float32'>>): string {
  const entries = [...weights].sort(([a], [b]) => (a < b ? -1 : 1));
  return sha256(...entries.flatMap(([name, value]) => [`${name} [${value.dims.join()}] `, bytesOf(value)]));
}

/** Of one teacher its logits; of several the log of their mean probabilities. */
export function meanLogits(teachers: readonly TeacherRows[]): Tensor<'float32'> {
  const all = teachers.map(({ rows }) => rows.get('logits') as Tensor<'float32'>);
  const [first] = all as [Tensor<'float32'>];
  if (all.length === 1) return first;
  const [examples, labels] = first.dims as [number, number];
  const data = new Float32Array(first.data.length);
  for (let i = 0; i < examples; i++) {
    const rows = all.map((logits) => softmax(Array.from(logits.data.subarray(i * labels, (i + 1) * labels))));
    for (let c = 0; c < labels; c++)
      data[i * labels + c] = Math.log(rows.reduce((sum, row) => sum + (row[c] as number), 0) / rows.length);
  }
  return { dtype: 'float32', dims: first.dims, data };
}
