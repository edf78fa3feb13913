// The measuring loop, the same for Node and browsers. Models are opened anew several times, the first one twice each time, as
// a control, and run in rounds of random order. It takes raw samples and nothing else; ratios, intervals and verdicts are
// made of them by `kdx bench --import`.

/**
 * @typedef {{
 *   seed: number,
 *   seconds: number,
 *   minOpenings: number,
 *   roundsPerOpening: number,
 *   minRounds: number,
 *   maxRounds: number,
 *   warmUpSeconds: number,
 *   warmUpRuns: number,
 * }} Settings `minOpenings` are made whatever the seconds, `minRounds` in each of them whatever their time; `maxRounds` are
 *   those of all openings; the first one warms up for `warmUpSeconds` and `warmUpRuns`
 *
 * @typedef {{
 *   lane: number,
 *   run(turn: number): Promise<unknown>,
 * }} Subject something whose time is taken; `turn` is which of the inputs, in a round the same for all; `lane` is its place among the models, for the control their number
 *
 * @typedef {{ number: number, firstRound: number, fixed?: { rounds: number, runsPerSample: number[] } }} OpeningRequest
 *   `fixed`: what the first opening settled for all, by lane
 *
 * @typedef {{
 *   firstMs: number[],
 *   runsPerSample: number[],
 *   samplesMs: number[][],
 *   plannedRounds: number,
 *   warmUpMs: number,
 *   isStopped: boolean,
 * }} Opened what one opening gave, by lane: the first run, and milliseconds per run, a sample per round
 *
 * @typedef {{ firstInferenceMs: number, runsPerSample: number, samplesMs: number[] }} Series
 *   `firstInferenceMs` is the median of the openings, and not among the samples
 *
 * @typedef {{
 *   models: Series[],
 *   controlMs: number[],
 *   openings: number[],
 *   seconds: number,
 *   stopReason: 'time budget used' | 'round limit reached' | 'interrupted',
 * }} Rounds `openings`: rounds of each
 *
 * @typedef {{
 *   now(): number,
 *   granularityMs: number,
 *   turn(): Promise<unknown>,
 *   isStopped?: () => boolean,
 *   onWarmUp?: (done: number, total: number) => void,
 * }} Surroundings a clock in milliseconds, its smallest step, and a way to let events in between runs
 */

/** A sample takes at least so many steps of the clock, and so many milliseconds. */
const clockSteps = 100;
const minSampleMs = 1;

/** So many in a row were long enough. */
const settledSamples = 3;

/** Least warm-up of later openings. */
const laterSeconds = 0.05;
const laterRuns = 3;

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
 * Opens and measures until the time is used up. All models get the same number of samples.
 * @param {number} models
 * @param {Settings} settings
 * @param {(request: OpeningRequest) => Promise<Opened | undefined>} open opens them in a process or worker of its own and
 *   measures an opening there; undefined when it was stopped
 * @param {{ now(): number, isStopped(): boolean, onProgress(share: number): void }} surroundings
 * @returns {Promise<Rounds>}
 */
export async function measure(models, settings, open, { now, isStopped, onProgress }) {
  const { seconds, minOpenings, maxRounds } = settings;
  const lanes = Array.from({ length: models + 1 }, () => ({
    firstMs: /** @type {number[]} */ ([]),
    samplesMs: /** @type {number[]} */ ([]),
  }));
  const controlMs = /** @type {typeof lanes[number]} */ (lanes.at(-1)).samplesMs;
  /** @type {number[]} */
  const openings = [];
  /** @type {OpeningRequest['fixed']} */
  let fixed;
  let begin = now();
  const elapsed = () => (now() - begin) / 1000;
  /** @type {Rounds['stopReason'] | undefined} */
  let stopReason;
  while (!stopReason) {
    const left = Math.max(settings.minRounds, maxRounds - controlMs.length);
    const request = { number: openings.length, firstRound: controlMs.length };
    const opened = isStopped()
      ? undefined
      : await open(fixed ? { ...request, fixed: { ...fixed, rounds: Math.min(left, fixed.rounds) } } : request);
    const rounds = opened?.samplesMs[0]?.length ?? 0;
    if (opened && rounds > 0) {
      openings.push(rounds);
      lanes.forEach(({ firstMs, samplesMs }, i) => {
        firstMs.push(/** @type {number} */ (opened.firstMs[i]));
        samplesMs.push(.../** @type {number[]} */ (opened.samplesMs[i]));
      });
    }
    if (opened && !fixed) {
      fixed = { rounds: opened.plannedRounds, runsPerSample: opened.runsPerSample };
      begin += opened.warmUpMs;
    }
    if (!opened || opened.isStopped) stopReason = 'interrupted';
    onProgress(Math.min(1, openings.length / minOpenings, seconds > 0 ? elapsed() / seconds : 1));
    if (controlMs.length >= maxRounds && openings.length >= minOpenings) stopReason ??= 'round limit reached';
    else if (openings.length >= minOpenings && elapsed() >= seconds) stopReason ??= 'time budget used';
  }
  return {
    models: lanes.slice(0, models).map(({ firstMs, samplesMs }, i) => ({
      firstInferenceMs: median(firstMs),
      runsPerSample: fixed?.runsPerSample[i] ?? 1,
      samplesMs,
    })),
    controlMs,
    openings,
    seconds: elapsed(),
    stopReason,
  };
}

/**
 * The lanes in the order in which an opening opens them.
 * @param {number} models
 * @param {number} seed
 * @param {number} opening its number
 */
export function openingOrder(models, seed, opening) {
  const order = Array.from({ length: models + 1 }, (_, lane) => lane);
  shuffle(order, randomStream(2 * streamOf(seed, opening)));
  return order;
}

/**
 * One opening: warm-up, then rounds in random order. Each sample follows an untimed run of the same model, as in a program
 * that runs nothing else: the others would have emptied the caches.
 * @param {readonly Subject[]} subjects as they were opened
 * @param {number} openMs that this took
 * @param {Settings} settings
 * @param {OpeningRequest} request
 * @param {Surroundings} surroundings
 * @returns {Promise<Opened>}
 */
export async function measureOpening(subjects, openMs, settings, { number, firstRound, fixed }, surroundings) {
  const { now, turn, isStopped = () => false, onWarmUp = () => undefined } = surroundings;
  const [firstMs, runsPerSample] = [subjects.map(() => 0), subjects.map(() => 1)];
  const begin = now();
  let [roundMs, laterMs] = [0, 0];
  for (const [i, { lane, run }] of subjects.entries()) {
    onWarmUp(i, subjects.length);
    const warm = await warmUp(run, settings, fixed?.runsPerSample[lane], surroundings);
    firstMs[lane] = warm.firstInferenceMs;
    runsPerSample[lane] = warm.runsPerSample;
    roundMs += warm.runMs * (1 + warm.runsPerSample);
    laterMs += Math.max(1000 * laterSeconds, laterRuns * warm.runMs);
  }
  // The control samples as its model does.
  if (!fixed) runsPerSample[subjects.length - 1] = /** @type {number} */ (runsPerSample[0]);
  const warmUpMs = now() - begin;
  const plannedRounds = fixed?.rounds ?? roundsOf(settings, openMs + laterMs, roundMs);

  const samplesMs = subjects.map(() => /** @type {number[]} */ ([]));
  const random = randomStream(2 * streamOf(settings.seed, number) + 1);
  const order = [...subjects];
  for (let round = 0; round < plannedRounds && !isStopped(); round++) {
    shuffle(order, random);
    await turn();
    /** @type {number[]} */
    const times = [];
    for (const { lane, run } of order) {
      if (isStopped()) break;
      // Another input, so that none is timed more often than others.
      await run(firstRound + round + 1);
      const runs = /** @type {number} */ (runsPerSample[lane]);
      times.push((await timeOf(run, firstRound + round, runs, now)) / runs);
    }
    if (times.length < order.length) break;
    order.forEach(({ lane }, i) => samplesMs[lane]?.push(/** @type {number} */ (times[i])));
  }
  return { firstMs, runsPerSample, samplesMs, plannedRounds, warmUpMs, isStopped: isStopped() };
}

/**
 * Rounds of every opening: fewer where the least number of openings would take longer than the time, or make too many.
 * @param {Settings} settings
 * @param {number} openMs with the warm-up of later openings
 * @param {number} roundMs
 */
function roundsOf({ seconds, minOpenings, roundsPerOpening, minRounds, maxRounds }, openMs, roundMs) {
  const fitting = Math.floor(((1000 * seconds) / minOpenings - openMs) / roundMs);
  const most = Math.min(roundsPerOpening, fitting, Math.floor(maxRounds / minOpenings));
  return Math.min(maxRounds, Math.max(minRounds, most));
}

/**
 * @param {number} seed
 * @param {number} opening
 */
function streamOf(seed, opening) {
  return Math.imul(seed, 0x9e3779b1) + opening;
}

/**
 * Milliseconds of several runs, one after the other.
 * @param {Subject['run']} run
 * @param {number} round
 * @param {number} count
 * @param {() => number} now
 */
async function timeOf(run, round, count, now) {
  const begin = now();
  for (let i = 0; i < count; i++) await run(round);
  return now() - begin;
}

/**
 * Runs until both the time and the number of runs are reached. In the first opening, the runs of a sample become more until the
 * fastest one seen is long enough; a mean would be misled by a single run that was held up.
 * @param {Subject['run']} run
 * @param {Settings} settings
 * @param {number | undefined} known runs of a sample, in later openings: the machine is warm, only their memory is not
 * @param {Surroundings} surroundings
 */
async function warmUp(run, { warmUpSeconds, warmUpRuns }, known, { now, turn, granularityMs, isStopped }) {
  const sampleMs = known === undefined ? Math.max(minSampleMs, clockSteps * granularityMs) : 0;
  const seconds = known === undefined ? warmUpSeconds : Math.min(laterSeconds, warmUpSeconds);
  const least = known === undefined ? warmUpRuns : Math.min(laterRuns, warmUpRuns);
  await turn();
  const begin = now();
  const firstInferenceMs = await timeOf(run, 0, 1, now);
  let [runs, runsPerSample, longEnough, runMs] = [1, 1, 0, Infinity];
  for (let step = 1; !isStopped?.(); step++) {
    const isSettled = known !== undefined || longEnough >= settledSamples;
    if (runs >= least && now() - begin >= 1000 * seconds && isSettled) break;
    await turn();
    const ms = await timeOf(run, step, runsPerSample, now);
    runs += runsPerSample;
    longEnough++;
    runMs = Math.min(runMs, ms / runsPerSample);
    if (ms < sampleMs) {
      runsPerSample = Math.min(2 * runsPerSample, Math.ceil((runsPerSample * sampleMs) / Math.max(ms, granularityMs)));
      [longEnough, runMs] = [0, Infinity];
    }
  }
  return { firstInferenceMs, runMs, runsPerSample: known ?? runsPerSample };
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
