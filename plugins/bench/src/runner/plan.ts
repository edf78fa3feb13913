/** What plan.json and a result hold. The scripts in runner/ read the one and write the other. */
import * as z from 'zod';

/** A result comes from anywhere and ends up in a terminal: nothing that moves its cursor or turns its text around. */
const text = (longest: number) =>
  z
    .string()
    .max(longest)
    .regex(/^[^\p{Cc}\u202a-\u202e\u2066-\u2069]*$/u, 'holds control characters');

const hash = z.string().regex(/^[0-9a-f]{64}$/, 'is no SHA-256');
const count = z.int().min(1).max(1_000_000);
const bytes = z.int().min(0);
/** A thousand hours. */
const milliseconds = z.number().positive().max(3.6e9);

const file = { file: text(1000), bytes, sha256: hash };

const model = z.strictObject({
  ...file,
  name: text(1000).min(1),
  reads: z.record(text(100), z.enum(['int32', 'int64'])),
  external: z.strictObject({ ...file, name: text(1000) }).optional(),
  facts: z.strictObject({
    ref: text(10_000),
    parameters: count.max(1e12),
    groups: z.array(z.strictObject({ name: text(100), bytes })).max(100),
    inputs: z.enum(['text', 'random token ids']),
  }),
});

const lengths = z.strictObject({
  mean: z.number().positive(),
  p50: z.number().positive(),
  p90: z.number().positive(),
  max: z.number().positive(),
});

const cell = z.strictObject({
  scenario: z.strictObject({
    kind: z.enum(['single-stream', 'offline']),
    threads: count,
    batch: count,
    length: z.union([count, z.literal('natural')]),
    lengths: lengths.nullable(),
    text: z.enum(['development set', 'built-in sentences']),
    tokenize: z.literal('out'),
  }),
  /** Of one sequence, by model. */
  flops: z.array(z.number().positive().nullable()),
  /** Of onnxruntime-node. */
  sessionOptions: z.record(z.string(), z.unknown()),
});

export const planFormat = 'kdx-bench-plan';
export const planVersion = 2;

const plan = z.strictObject({
  format: z.literal(planFormat),
  version: z.literal(planVersion),
  kdx: text(100),
  settings: z.strictObject({
    seed: z.int().min(0),
    /** For each cell. */
    seconds: z.number().min(0).max(1e6),
    minOpenings: count,
    roundsPerOpening: count,
    minRounds: count,
    maxRounds: count,
    warmUpSeconds: z.number().min(0).max(1e6),
    warmUpRuns: count,
  }),
  /** The teacher first. */
  models: z.array(model).min(2).max(1000),
  cells: z.array(cell).min(1).max(1000),
});

const samples = z.array(milliseconds).min(1).max(100_000);

export const resultFormat = 'kdx-bench-result';
export const resultVersion = 2;

export const resultSchema = z.strictObject({
  format: z.literal(resultFormat),
  version: z.literal(resultVersion),
  plan,
  /** What its user called the device. */
  label: text(200).nullable(),
  runtime: z.strictObject({
    name: z.enum(['onnxruntime-node', 'onnxruntime-web']),
    version: text(100),
    backend: z.enum(['cpu', 'wasm', 'webgpu']),
  }),
  environment: z.strictObject({
    os: text(500),
    node: text(100).nullable(),
    userAgent: text(1000).nullable(),
    cpuModel: text(500).nullable(),
    gpu: text(500).nullable(),
    logicalCores: count,
    memoryBytes: bytes.nullable(),
    crossOriginIsolated: z.boolean().nullable(),
    timerResolutionMs: milliseconds,
  }),
  cells: z
    .array(
      z.strictObject({
        /** Its place in the plan. */
        cell: z.int().min(0),
        models: z.array(
          z.strictObject({ firstInferenceMs: z.number().min(0), runsPerSample: count, samplesMs: samples }),
        ),
        controlMs: samples,
        /** Rounds of each process or worker in which the models were opened anew. */
        openings: z.array(count).min(1).max(100_000),
        seconds: z.number().min(0),
        stopReason: z.enum(['time budget used', 'round limit reached', 'interrupted']),
      }),
    )
    .min(1)
    .max(1000),
  skipped: z.array(z.strictObject({ cell: z.int().min(0), reason: text(500) })).max(1000),
  warnings: z.array(text(500)).max(100),
  /** Of the JSON of all of the above. */
  sha256: hash,
});

export type Plan = z.infer<typeof plan>;
export type PlannedModel = z.infer<typeof model>;
export type PlannedCell = z.infer<typeof cell>;
export type RunnerResult = z.infer<typeof resultSchema>;
