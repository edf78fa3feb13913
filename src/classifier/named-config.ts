/** Published architectures by name, for models with random weights: `config:bert-base`, or a config.json of one's own. */
import { parseConfig, readConfig, type BertConfig } from '../checkpoint/index.ts';
import { KdxError, nearest } from '../errors/index.ts';

/** Layers, hidden size, heads, width of the feed-forward part. */
type Shape = readonly [layers: number, hidden: number, heads: number, intermediate: number];

/**
 * bert-tiny to bert-medium are those of Turc 2019 (arXiv:1908.08962); the tinybert ones of Jiao 2020, where "BERT_TINY"
 * means the shape of tinybert4; the minilm ones of Wang 2020 (arXiv:2002.10957).
 */
const shapes: Readonly<Record<string, Shape>> = {
  'bert-large': [24, 1024, 16, 4096],
  'bert-base': [12, 768, 12, 3072],
  'bert-medium': [8, 512, 8, 2048],
  'bert-small': [4, 512, 8, 2048],
  'bert-mini': [4, 256, 4, 1024],
  'bert-tiny': [2, 128, 2, 512],
  tinybert4: [4, 312, 12, 1200],
  tinybert6: [6, 768, 12, 3072],
  minilm6: [6, 384, 12, 1536],
  minilm12: [12, 384, 12, 1536],
};

const distilBert = { model_type: 'distilbert', dim: 768, n_layers: 6, n_heads: 12, hidden_dim: 3072 };
const tables = { vocab_size: 30522, max_position_embeddings: 512 };

export const architectureNames: readonly string[] = [...Object.keys(shapes), 'distilbert'];

const prefix = 'config:';

/** Whether a reference asks for random weights: `config:NAME` or `config:FILE.json`. */
export function isConfigRef(ref: string): boolean {
  return ref.startsWith(prefix);
}

/**
 * The configuration that `config:NAME` or `config:FILE.json` means.
 * @throws KdxError `unknown-architecture`; those of readConfig
 */
export async function configOfRef(ref: string): Promise<BertConfig> {
  const name = ref.slice(prefix.length);
  if (name === 'distilbert') return parseConfig({ ...distilBert, ...tables }, ref);
  const shape = Object.hasOwn(shapes, name) ? shapes[name] : undefined;
  if (shape === undefined) {
    if (/\.json$/i.test(name)) return readConfig(name);
    throw unknown(ref, name);
  }
  const [num_hidden_layers, hidden_size, num_attention_heads, intermediate_size] = shape;
  const sizes = { num_hidden_layers, hidden_size, num_attention_heads, intermediate_size };
  return parseConfig({ model_type: 'bert', ...sizes, ...tables }, ref);
}

function unknown(ref: string, name: string): KdxError {
  const [plain = '', scheme] = name.split(',');
  if (scheme !== undefined && architectureNames.includes(plain))
    return new KdxError('unknown-architecture', `${ref}: a configuration says nothing of ${scheme}`, {
      suggestions: [
        `kdx export --onnx --model ${prefix}${plain} --out DIR --quantize ${scheme}`,
        'and then DIR/onnx/model_quantized.onnx in its place',
      ],
    });
  const near = nearest(name, architectureNames);
  return new KdxError('unknown-architecture', `${ref} is no known architecture`, {
    suggestions: [
      ...(near === undefined ? [] : [prefix + near]),
      `known: ${architectureNames.join(', ')}; or ${prefix}FILE.json with a config.json of Hugging Face`,
    ],
  });
}
