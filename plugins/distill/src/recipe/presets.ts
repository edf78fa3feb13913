/** Named recipes, true to their papers. What is not set here is the default of the schema. */
import type { JsonObject } from 'kdx/recipe';

export interface Preset {
  /** One line for lists. */
  readonly summary: string;
  readonly source: string;
  readonly recipe: JsonObject;
}

/** The final stage of Patient KD and Pea-KD: L = 0.3 CE + 0.7 KD + 100 PT, with the reductions of their code. */
const patient = [
  { method: 'label', weight: 0.3 },
  { method: 'kd', weight: 0.7, temperature: 10, reduction: 'mean' },
  { method: 'patience', weight: 100 },
];

/**
 * Two full epochs, as the most complete release of Pea-KD trains. The decay of the learning rate reaches 0 there, which
 * the published loop, stopped on the way, never did.
 */
const ptpStage = { name: 'ptp', ptp: {}, losses: [{ method: 'label' }], train: { epochs: 2 } };

export const presets = {
  finetune: {
    summary: 'labels alone, the baseline of every comparison',
    source: 'Devlin et al. 2019',
    recipe: { stages: [{ name: 'finetuning', losses: [{ method: 'label' }] }] },
  },
  kd: {
    summary: "labels and the teacher's softened probabilities",
    source: 'Hinton et al. 2015, arXiv 1503.02531',
    recipe: {
      stages: [
        {
          name: 'distillation',
          losses: [
            { method: 'label', weight: 0.3 },
            { method: 'kd', weight: 0.7 },
          ],
        },
      ],
    },
  },
  pkd: {
    summary: 'Patient KD: also the first token of each layer',
    source: 'Sun et al. 2019, arXiv 1908.09355, eq. 8',
    recipe: { stages: [{ name: 'distillation', losses: patient }] },
  },
  'pea-kd': {
    summary: 'shared layers, then pretraining on how sure the teacher is',
    source: 'Cho & Kang 2020, arXiv 2009.14822',
    recipe: { student: { sharing: 'sps2' }, stages: [ptpStage, { name: 'distillation', losses: patient }] },
  },
  'pea-kd-sps': {
    summary: 'Pea-KD without its pretraining',
    source: 'Cho & Kang 2020, ablation',
    recipe: { student: { sharing: 'sps2' }, stages: [{ name: 'distillation', losses: patient }] },
  },
  'pea-kd-ptp': {
    summary: 'Pea-KD without shared layers',
    source: 'Cho & Kang 2020, ablation',
    recipe: { stages: [ptpStage, { name: 'distillation', losses: patient }] },
  },
  tinybert: {
    summary: 'hidden states and attention first, then predictions',
    source: 'Jiao et al. 2020, arXiv 1909.10351, eq. 7 to 11; give --augmented for its data augmentation',
    recipe: {
      stages: [
        {
          name: 'intermediate',
          losses: [{ method: 'transformer' }],
          keep: 'last',
          train: { epochs: 5, schedule: 'constant', warmup: 0 },
        },
        { name: 'prediction', losses: [{ method: 'prediction' }] },
      ],
    },
  },
  'tinybert-general': {
    summary: 'the same of a pretrained encoder, on plain text',
    source: 'Jiao et al. 2020, section 3.2; needs --corpus',
    recipe: { stages: [{ name: 'general', data: 'corpus', losses: [{ method: 'transformer' }], keep: 'last' }] },
  },
  distilbert: {
    summary: 'triple loss of a masked language model, on plain text',
    source: 'Sanh et al. 2019, arXiv 1910.01108; needs --corpus and a teacher with a masked-language head',
    recipe: {
      student: { family: 'distilbert', init: { layers: 'ends', tokenTypes: 'drop' } },
      stages: [
        {
          name: 'pretraining',
          data: 'corpus',
          losses: [{ method: 'distilbert', masking: { selection: 'rare' } }],
          keep: 'last',
          train: { lr: 5e-4, warmup: 0.05, betas: [0.9, 0.98], eps: 1e-6, weightDecay: 0, clipNorm: 5 },
        },
      ],
    },
  },
  'distilbert-task': {
    summary: 'labels and softened probabilities in equal parts',
    source: 'Sanh et al. 2019, section 4.1 (the row marked D)',
    recipe: {
      stages: [
        {
          name: 'distillation',
          losses: [
            { method: 'label', weight: 0.5 },
            { method: 'kd', weight: 0.5, temperature: 2 },
          ],
        },
      ],
    },
  },
  mixkd: {
    summary: "also the teacher's answers to mixtures of two sentences",
    source: 'Liang et al. 2021, arXiv 2011.00593, as far as published (see the method)',
    recipe: {
      stages: [{ name: 'distillation', losses: [{ method: 'label' }, { method: 'mixkd' }] }],
    },
  },
  qat: {
    summary: 'labels and teacher, on weights rounded as they are exported',
    source: 'Jacob et al. 2018, arXiv 1712.05877, with the straight-through estimator of Bengio et al. 2013',
    recipe: {
      stages: [
        {
          name: 'quantized',
          quantize: { scheme: 'weight4' },
          losses: [
            { method: 'label', weight: 0.3 },
            { method: 'kd', weight: 0.7 },
          ],
          train: { lr: 2e-5 },
        },
      ],
    },
  },
  'pretrained-kd': {
    summary: 'masked words of plain text first, then the teacher',
    source: 'Turc et al. 2019, arXiv 1908.08962; needs --corpus',
    recipe: {
      stages: [
        { name: 'pretraining', data: 'corpus', losses: [{ method: 'mlm' }], keep: 'last', train: { lr: 1e-4 } },
        { name: 'distillation', losses: [{ method: 'kd' }] },
      ],
    },
  },
} satisfies Readonly<Record<string, Preset>>;

export type PresetName = keyof typeof presets;

export const presetNames = Object.keys(presets) as readonly PresetName[];
