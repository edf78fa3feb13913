/** Data augmentation for distillation. */
export * from './augment.ts';
export * from './columns.ts';
export type { Eligibility } from './sentence.ts';
export type { Visibility } from './masked-lm.ts';
export type { MethodName } from './rows.ts';
