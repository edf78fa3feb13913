/** The two halves of a WordPiece tokenizer: text to words, and a word to its pieces. */
import { Tokenizer as Library } from '@huggingface/tokenizers';
import { KdxError } from '../errors/index.ts';
import { preparation } from './preparation.ts';
import type { Json } from './special-tokens.ts';
import type { Tokenizer } from './tokenizer.ts';

export interface WordTokenizer {
  /**
   * What BERT's basic tokenizer makes of a text: cleaned, lower-cased and without accents where the model is uncased,
   * each punctuation mark on its own. Special tokens written in the text are plain characters here.
   */
  words(text: string): string[];
  /** Ids of the pieces of one word, without special tokens. */
  pieces(word: string): readonly number[];
}

/** @throws KdxError `unsupported-tokenizer` when it is not a WordPiece tokenizer that splits text into words first */
export function wordTokenizer({ files }: Tokenizer): WordTokenizer {
  const json = JSON.parse(files['tokenizer.json'] as string) as Json;
  const library = new Library(json, JSON.parse(files['tokenizer_config.json'] as string) as Json);
  const { normalizer, pre_tokenizer: splitter } = library;
  const isWordPiece = (json['model'] as Json | undefined)?.['type'] === 'WordPiece';
  if (!isWordPiece || splitter === null)
    throw new KdxError('unsupported-tokenizer', 'the tokenizer of the model is not of the kind of BERT (WordPiece)', {
      suggestions: [
        'give a model with a WordPiece vocabulary, such as a BERT: what it writes is text, for any teacher',
      ],
    });
  const prepare = preparation(json['normalizer'] as Json | null);
  return {
    words: (text) => splitter.pre_tokenize(normalizer?.normalize(prepare(text)) ?? text),
    pieces: (word) => library.encode(word, { add_special_tokens: false }).ids,
  };
}
