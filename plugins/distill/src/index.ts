/** Training of classifiers: finetuning, distillation, evaluation. */
export * from './distill.ts';
export * from './evaluation.ts';
export * from './finetune.ts';
export * from './preflight.ts';
export * from './run.ts';
export * from './stage.ts';
export * from './student.ts';
export * from './teacher-cache.ts';
export * from './teacher.ts';
