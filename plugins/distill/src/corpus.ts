/** Plain text to pretrain on: lines of a file, packed into sequences of tokens. */
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import type { EncodedExamples, Tokenizer } from 'kdx/data';
import { KdxError } from 'kdx/errors';
import { fileError, sha256 } from 'kdx/files';

export interface Corpus {
  readonly path: string;
  readonly examples: EncodedExamples;
  /** Of the token ids. */
  readonly hash: string;
}

/**
 * One sentence or paragraph a line, an empty line between documents. The lines of a document follow each other in
 * sequences of at most `maxLength` tokens, [CLS] and [SEP] included; no sequence holds parts of two documents. There is
 * no second segment: next-sentence prediction is not trained.
 * @throws KdxError `file-not-found`, `empty-corpus`
 */
export async function loadCorpus(path: string, tokenizer: Tokenizer, maxLength: number): Promise<Corpus> {
  const ids: number[] = [];
  const offsets = [0];
  let open: number[] = [];
  const room = maxLength - 2;
  const flush = () => {
    if (open.length === 0) return;
    ids.push(tokenizer.clsId, ...open, tokenizer.sepId);
    offsets.push(ids.length);
    open = [];
  };
  try {
    const lines = createInterface({ input: createReadStream(path, 'utf8'), crlfDelay: Infinity });
    for await (const line of lines) {
      if (line.trim() === '') {
        flush();
        continue;
      }
      for (const id of tokenizer.encode(line, undefined, Number.MAX_SAFE_INTEGER).ids.slice(1, -1)) {
        open.push(id);
        if (open.length === room) flush();
      }
    }
  } catch (error) {
    throw fileError(error, path);
  }
  flush();
  const count = offsets.length - 1;
  if (count === 0)
    throw new KdxError('empty-corpus', `${path} has no text`, {
      suggestions: ['a plain text file, one sentence or paragraph a line'],
    });
  const data = Int32Array.from(ids);
  return {
    path,
    hash: sha256(new Uint8Array(data.buffer), JSON.stringify(offsets)),
    examples: {
      count,
      ids: data,
      typeIds: new Uint8Array(data.length),
      offsets: Int32Array.from(offsets),
      labels: new Float64Array(count),
      padId: tokenizer.padId,
    },
  };
}
