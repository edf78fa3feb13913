// The measuring loop, the same for Node and browsers: rounds in random order, the first subject a second time as a control.
// It takes raw samples and nothing else; ratios, intervals and verdicts are made of them by `kdx bench --import`.

/**
 * @typedef {{
 *   run(round: number): Promise<unknown>,
 * }} Subject something whose time is taken
 *
 * @typedef {{
 *   seed: number,
 *   seconds: number,
 *   minRounds: number,
 *   maxRounds: number,
 *   warmUpSeconds: number,
 *   warmUpRuns: number,
 * }} Settings `seconds` is for the rounds; `minRounds` are made whatever the time
 *
 * @typedef {{ firstInferenceMs: number, runsPerSample: number, samplesMs: number[] }} Series
 *   milliseconds per run, a sample per round; the very first run is not among them
 *
 * @typedef {{
 *   models: Series[],
 *   controlMs: number[],
 *   seconds: number,
 *   stopReason: 'time budget used' | 'round limit reached' | 'interrupted',
 * }} Rounds
 *
 * @typedef {{
 *   now(): number,
 *   granularityMs: number,
 *   turn(): Promise<unknown>,
 *   isStopped?: () => boolean,
 *   onProgress?: (stage: 'warm up' | 'measure', done: number, total: number) => void,
 * }} Surroundings a clock in milliseconds, its smallest step, and a way to let events in between runs
 */

/** A sample takes at least so many steps of the clock, and so many milliseconds. */
const clockSteps = 100;
const minSampleMs = 1;

/** So many in a row were long enough. */
const settledSamples = 3;

/** Steps of the clock that are looked at, and the time that this may take. */
const stepsSeen = 20;
const longestLookMs = 500;

/**
 * The smallest step that a clock was seen to make, in milliseconds. Browsers round theirs, to make attacks harder.
 * @param {() => number} now
 */
export function clockGranularity(now) {
  const begin = now();
  let [last, smallest] = [begin, Infinity];
  for (let steps = 0; steps < stepsSeen && last - begin < longestLookMs;) {
    const time = now();
    if (time === last) continue;
    smallest = Math.min(smallest, time - last);
    last = time;
    steps++;
  }
  return smallest;
}

/**
 * Measures until the time is used up. All subjects get the same number of samples.
 * @param {readonly Subject[]} subjects the first one is measured twice
 * @param {Settings} settings
 * @param {Surroundings} surroundings
 * @returns {Promise<Rounds>}
 */
export async function measure(subjects, settings, surroundings) {
  const { now, turn, isStopped = () => false, onProgress = () => undefined } = surroundings;
  const { seed, seconds, minRounds, maxRounds } = settings;
  const lanes = [];
  for (const [i, subject] of subjects.entries()) {
    onProgress('warm up', i, subjects.length);
    lanes.push({
      subject,
      ...(await warmUp(subject, settings, surroundings)),
      samplesMs: /** @type {number[]} */ ([]),
    });
  }
  const [first] = lanes;
  if (!first) throw new Error('there is nothing to measure');
  const control = { ...first, samplesMs: [] };

  const random = randomStream(seed);
  const order = [...lanes, control];
  const begin = now();
  const elapsed = () => (now() - begin) / 1000;
  /** @type {Rounds['stopReason'] | undefined} */
  let stopReason;
  for (let round = 0; !stopReason; round++) {
    shuffle(order, random);
    await turn();
    /** @type {number[]} */
    const times = [];
    for (const { subject, runsPerSample } of order) {
      if (isStopped()) break;
      times.push((await timeOf(subject, round, runsPerSample, now)) / runsPerSample);
    }
    if (times.length < order.length) {
      stopReason = 'interrupted';
      break;
    }
    order.forEach((lane, i) => lane.samplesMs.push(/** @type {number} */ (times[i])));
    onProgress('measure', Math.min(1, (round + 1) / minRounds, seconds > 0 ? elapsed() / seconds : 1), 1);
    if (round + 1 >= maxRounds) stopReason = 'round limit reached';
    else if (round + 1 >= minRounds && elapsed() >= seconds) stopReason = 'time budget used';
  }
  return {
    models: lanes.map(({ firstInferenceMs, runsPerSample, samplesMs }) => ({
      firstInferenceMs,
      runsPerSample,
      samplesMs,
    })),
    controlMs: control.samplesMs,
    seconds: elapsed(),
    stopReason: /** @type {Rounds['stopReason']} */ (stopReason),
  };
}

/**
 * Milliseconds of several runs, one after the other.
 * @param {Subject} subject
 * @param {number} round
 * @param {number} runs
 * @param {() => number} now
 */
async function timeOf(subject, round, runs, now) {
  const begin = now();
  for (let run = 0; run < runs; run++) await subject.run(round);
  return now() - begin;
}

/**
 * Runs until both the time and the number of runs are reached. The runs of a sample become more until the fastest one seen is
 * long enough; a mean would be misled by a single run that was held up.
 * @param {Subject} subject
 * @param {Settings} settings
 * @param {Surroundings} surroundings
 */
async function warmUp(subject, { warmUpSeconds, warmUpRuns }, { now, turn, granularityMs, isStopped }) {
  const sampleMs = Math.max(minSampleMs, clockSteps * granularityMs);
  await turn();
  const begin = now();
  const firstInferenceMs = await timeOf(subject, 0, 1, now);
  let [runs, runsPerSample, longEnough] = [1, 1, 0];
  for (let step = 1; !isStopped?.(); step++) {
    if (runs >= warmUpRuns && now() - begin >= 1000 * warmUpSeconds && longEnough >= settledSamples) break;
    await turn();
    const ms = await timeOf(subject, step, runsPerSample, now);
    runs += runsPerSample;
    longEnough++;
    if (ms < sampleMs) {
      runsPerSample = Math.min(2 * runsPerSample, Math.ceil((runsPerSample * sampleMs) / Math.max(ms, granularityMs)));
      longEnough = 0;
    }
  }
  return { firstInferenceMs, runsPerSample };
}

/**
 * Numbers from 0 up to 1, the same for the same seed (Mulberry32).
 * @param {number} seed
 */
function randomStream(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let bits = Math.imul(state ^ (state >>> 15), state | 1);
    bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61);
    return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * In place (Fisher and Yates).
 * @param {unknown[]} values
 * @param {() => number} random
 */
function shuffle(values, random) {
  for (let i = values.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [values[i], values[j]] = [values[j], values[i]];
  }
}

/**
 * For display only.
 * @param {readonly number[]} values
 */
export function median(values) {
  const ascending = [...values].sort((a, b) => a - b);
  const middle = Math.floor(ascending.length / 2);
  const [low = NaN, high = NaN] = [ascending[Math.ceil(ascending.length / 2) - 1], ascending[middle]];
  return (low + high) / 2;
}
