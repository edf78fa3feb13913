/** tokenizer.json made of the vocabulary files of older checkpoints, as Transformers makes it. */
import { KdxError } from '../errors/index.ts';
import { specialRoles, specialToken, type Json, type SpecialToken } from './special-tokens.ts';

/** What to do about tokenizer files that cannot be used. */
export const tokenizerAdvice = ['copy the tokenizer files of the model that this one was made from into the folder'];

/** The tokenizer.json that Transformers makes of a BERT vocab.txt: the line number of a token is its id. */
export function wordPieceTokenizer(vocabulary: string, config: Json, path: string): Json {
  const lines = vocabulary.replace(/\r?\n$/, '').split(/\r?\n/);
  const vocab: Record<string, number> = Object.create(null) as Record<string, number>;
  for (const [id, token] of lines.entries()) vocab[token] = id;
  const { idOf, added } = specialTokensOf(vocab, config, path);
  const cls = idOf('cls_token');
  const sep = idOf('sep_token');
  const special = (token: string, type_id: number) => ({ SpecialToken: { id: token, type_id } });
  const first = [special(cls.token, 0), { Sequence: { id: 'A', type_id: 0 } }, special(sep.token, 0)];
  const template = ({ token, id }: { token: string; id: number }) => ({ id: token, ids: [id], tokens: [token] });
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: added(),
    normalizer: {
      type: 'BertNormalizer',
      clean_text: true,
      handle_chinese_chars: config['tokenize_chinese_chars'] !== false,
      strip_accents: typeof config['strip_accents'] === 'boolean' ? config['strip_accents'] : null,
      lowercase: config['do_lower_case'] !== false,
    },
    pre_tokenizer: { type: 'BertPreTokenizer' },
    post_processor: {
      type: 'TemplateProcessing',
      single: first,
      pair: [...first, { Sequence: { id: 'B', type_id: 1 } }, special(sep.token, 1)],
      special_tokens: { [cls.token]: template(cls), [sep.token]: template(sep) },
    },
    decoder: { type: 'WordPiece', prefix: '##', cleanup: true },
    model: {
      type: 'WordPiece',
      unk_token: idOf('unk_token').token,
      continuing_subword_prefix: '##',
      max_input_chars_per_word: 100,
      vocab,
    },
  };
}

/** The special tokens of a vocabulary, and how tokenizer.json lists them; only the mask may be missing. */
function specialTokensOf(vocab: Readonly<Record<string, number>>, config: Json, path: string) {
  const nameOf = (role: SpecialToken) => specialToken(config, role, (name) => name in vocab);
  const idOf = (role: SpecialToken) => {
    const token = nameOf(role);
    const id = vocab[token];
    if (id === undefined)
      throw new KdxError('invalid-vocabulary', `${path} has no token ${token}`, { suggestions: tokenizerAdvice });
    return { token, id };
  };
  const flags = { single_word: false, rstrip: false, normalized: false, special: true };
  const added = ({ lstrip = false } = {}) =>
    specialRoles
      .filter((role) => role !== 'mask_token' || nameOf(role) in vocab)
      .map((role) => ({ ...idOf(role), lstrip: lstrip && role === 'mask_token' }))
      .sort((a, b) => a.id - b.id)
      .map(({ id, token: content, lstrip }) => ({ id, content, lstrip, ...flags }));
  return { idOf, added };
}

/** The tokenizer.json that Transformers makes of RoBERTa's vocab.json (id by token) and merges.txt. */
export function byteLevelTokenizer(ids: Json, merges: string, config: Json, path: string): Json {
  const vocab = Object.assign(Object.create(null), ids) as Record<string, number>;
  const wrong = Object.entries(vocab).find(([, id]) => !Number.isSafeInteger(id) || id < 0);
  if (wrong)
    throw new KdxError('invalid-vocabulary', `${path}: ${JSON.stringify(wrong[0])} has no id`, {
      suggestions: tokenizerAdvice,
    });
  const { idOf, added } = specialTokensOf(vocab, config, path);
  const frame = (role: SpecialToken) => [idOf(role).token, idOf(role).id];
  const add_prefix_space = config['add_prefix_space'] === true;
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: added({ lstrip: true }),
    normalizer: null,
    pre_tokenizer: { type: 'ByteLevel', add_prefix_space, trim_offsets: true, use_regex: true },
    post_processor: {
      type: 'RobertaProcessing',
      sep: frame('sep_token'),
      cls: frame('cls_token'),
      trim_offsets: true,
      add_prefix_space,
    },
    decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: '',
      end_of_word_suffix: '',
      fuse_unk: false,
      byte_fallback: false,
      vocab,
      merges: merges
        .split(/\r?\n/)
        .filter((line, i) => line !== '' && !(i === 0 && line.startsWith('#version')))
        .map((line) => line.split(' ')),
    },
  };
}
