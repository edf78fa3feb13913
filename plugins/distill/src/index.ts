/** Training of classifiers: finetuning, distillation, evaluation. */
export * from './classifier-training.ts';
export * from './distill.ts';
export * from './evaluation.ts';
export * from './finetune.ts';
export * from './student.ts';
export * from './teacher-logits.ts';
