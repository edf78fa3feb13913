/** Which token plays which role in a tokenizer. */

export type Json = { readonly [key: string]: unknown };

/** Fields of tokenizer_config.json that name a special token, with what BERT and RoBERTa call it. */
const specialTokens = {
  unk_token: ['[UNK]', '<unk>'],
  sep_token: ['[SEP]', '</s>'],
  pad_token: ['[PAD]', '<pad>'],
  cls_token: ['[CLS]', '<s>'],
  mask_token: ['[MASK]', '<mask>'],
} as const;

export type SpecialToken = keyof typeof specialTokens;
export const specialRoles = Object.keys(specialTokens) as SpecialToken[];

/** The token that plays a role: as the files name it, else as BERT or RoBERTa does, whose names the vocabulary has. */
export function specialToken(config: Json, role: SpecialToken, isToken: (name: string) => boolean): string {
  const hasNames = (of: 0 | 1) => framing.every((needed) => isToken(specialTokens[needed][of]));
  return namedToken(config[role]) ?? specialTokens[role][!hasNames(0) && hasNames(1) ? 1 : 0];
}

/** A piece of a word may happen to be called like one of them, not like all. */
const framing = ['cls_token', 'sep_token', 'pad_token'] as const;

/** Older files write an object instead of a string. */
function namedToken(value: unknown): string | undefined {
  const content = typeof value === 'object' && value !== null ? (value as Json)['content'] : value;
  return typeof content === 'string' ? content : undefined;
}

/** What BERT calls them. */
export const bertTokens: Readonly<Record<string, string>> = Object.fromEntries(
  specialRoles.map((role) => [role, specialTokens[role][0]]),
);
