/** The recipe of a student: its shape, what its layers share, where its first weights come from. */
import { supportedModelTypes } from 'kdx/checkpoint';
import { z } from 'zod';
import { sharingProblems, sharingSchema } from '../sharing.ts';

const count = z.number().int().positive();

/** Where a student's first weights come from. */
const initSchema = z
  .strictObject({
    /** Default: teacher when the student's layers have the teacher's shape, otherwise random. */
    from: z.enum(['teacher', 'pretrained', 'random']).optional(),
    /** The checkpoint to take from, with `from: pretrained`. */
    model: z.string().min(1).optional(),
    /**
     * Layers of the source to take, counted from 0; or `spread`: evenly, the last one among them (the default; 3 of 6
     * are 1, 3, 5); `first`: as Patient KD, Pea-KD and MixKD do; `ends`: evenly, the first and the last one among them
     * (DistilBERT: 6 of 12 are 0, 2, 4, 7, 9, 11).
     */
    layers: z.union([z.enum(['spread', 'first', 'ends']), z.array(z.number().int().min(0)).nonempty()]).optional(),
    /**
     * For a student without token types: `fold` adds the source's first type to every position, which makes the copy
     * exact for single sentences; `drop` loses it, as DistilBERT did.
     */
    tokenTypes: z.enum(['fold', 'drop']).default('fold'),
  })
  .superRefine((init, context) => {
    const complain = (key: string, message: string) => context.addIssue({ code: 'custom', path: [key], message });
    if (init.from === 'pretrained' && init.model === undefined) complain('model', 'needed with from: pretrained');
    if (init.from !== 'pretrained' && init.model !== undefined) complain('model', 'only used with from: pretrained');
    if (init.from === 'random' && init.layers) complain('layers', 'not used with from: random');
  });

/** The student's shape; what is not given is the teacher's. */
export const studentSchema = z
  .strictObject({
    layers: count,
    /** The teacher's, which is the default; of a BERT also `distilbert`: no token types, no pooler. */
    family: z.enum(supportedModelTypes).optional(),
    hidden: count.optional(),
    heads: count.optional(),
    intermediate: count.optional(),
    /** Layers that run more than once (Pea-KD); `layers` counts those with weights of their own. */
    sharing: sharingSchema.optional(),
    init: initSchema.prefault({}),
  })
  .superRefine((student, context) => {
    const complain = (path: string[], message: string) => context.addIssue({ code: 'custom', path, message });
    const { hidden, heads, layers, init, sharing } = student;
    for (const problem of sharing ? sharingProblems(layers, sharing) : []) complain(['sharing'], problem);
    if (hidden !== undefined && heads !== undefined && hidden % heads !== 0)
      complain(['heads'], `${heads} heads do not divide a hidden size of ${hidden}`);
    if (Array.isArray(init.layers) && init.layers.length !== layers)
      complain(
        ['init', 'layers'],
        `expected ${layers} numbers, one per layer of the student, found ${init.layers.length}`,
      );
  })
  .transform((student) => {
    const reshaped = [student.hidden, student.heads, student.intermediate].some((size) => size !== undefined);
    return { ...student, init: { ...student.init, from: student.init.from ?? (reshaped ? 'random' : 'teacher') } };
  });

export type StudentRecipe = z.infer<typeof studentSchema>;
