/** What the parent of a cold start and its child process tell each other, as JSON. Types only. */

/** A tensor that survives JSON. */
export interface JobTensor {
  readonly type: 'int64' | 'int32' | 'float32' | 'bool';
  readonly dims: readonly number[];
  readonly values: readonly number[];
}

export interface ColdStartJob {
  readonly file: string;
  readonly feeds: Readonly<Record<string, JobTensor>>;
  /** Passed to `InferenceSession.create` as they are. */
  readonly sessionOptions: Readonly<Record<string, unknown>>;
}

/** Milliseconds of each phase of one fresh process. */
export interface ColdStartPhases {
  /** From the start of the process to the first line of its script. */
  readonly processStart: number;
  /** Loading onnxruntime-node. */
  readonly moduleLoad: number;
  /** One pass over the file's bytes. Not part of the total: creating the session reads them itself. */
  readonly read: number;
  /** Creating the session from the file, its bytes in the page cache. */
  readonly sessionCreate: number;
  readonly firstRun: number;
}

/** Resident bytes of that process. */
export interface ColdStartMemory {
  /** Node and ONNX Runtime, before any model. */
  readonly baseline: number;
  readonly afterCreate: number;
  readonly afterFirstRun: number;
  /** The highest ever. */
  readonly peak: number;
}

export interface ColdStartSample {
  readonly phasesMs: ColdStartPhases;
  readonly memoryBytes: ColdStartMemory;
}
