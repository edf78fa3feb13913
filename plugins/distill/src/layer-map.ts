/** Which layer of a teacher a layer of the student learns from. Layers are counted from 1: they index hidden states. */
import { internal } from 'kdx/errors';

/** Hidden state of the student and of the teacher; 0 would be the embedding output. */
export type LayerPair = readonly [student: number, teacher: number];

/** `skip`: every k-th layer of the teacher. `last`: its last ones. Both leave out the last layer of either model. */
export type PatienceMap = 'skip' | 'last' | readonly LayerPair[];

/** `uniform`: every k-th layer. `top`: the last ones. `bottom`: the first ones. Or the teacher's layer of each layer. */
export type LayerMap = 'uniform' | 'top' | 'bottom' | readonly number[];

/**
 * Layers that Patient KD compares. With depths D and L (those that run: a shared layer counts each time), `skip` pairs
 * j in 1..D-1 with j·L/D where that is a layer, `last` with L-D+j. A student of one layer has no pair.
 */
export function patienceMap(map: PatienceMap, studentDepth: number, teacherDepth: number): readonly LayerPair[] {
  const problem = patienceMapProblem(map, studentDepth, teacherDepth);
  if (problem) throw internal(problem);
  return patiencePairs(map, studentDepth, teacherDepth);
}

/** Why two models cannot be paired so, and what can be written instead. */
export function patienceMapProblem(map: PatienceMap, studentDepth: number, teacherDepth: number): string | undefined {
  const pairs = patiencePairs(map, studentDepth, teacherDepth);
  const models = `a student of ${studentDepth} and a teacher of ${teacherDepth} layers`;
  const outside = pairs.find(([s, t]) => !isLayer(s, studentDepth) || !isLayer(t, teacherDepth));
  if (typeof map !== 'string')
    return outside && `map pairs layers [${outside.join(', ')}], counted from 1, of ${models}`;
  if (!outside && (pairs.length > 0 || studentDepth === 1)) return undefined;
  const example = layersOf(studentDepth - 1).map((j) => [j, proportional(j, studentDepth, teacherDepth)]);
  return `map=${map} pairs no layers of ${models}: give pairs [student, teacher], such as ${JSON.stringify(example)}`;
}

function patiencePairs(map: PatienceMap, studentDepth: number, teacherDepth: number): readonly LayerPair[] {
  if (typeof map !== 'string') return map;
  const inner = layersOf(studentDepth - 1);
  if (map === 'last') return inner.map((j) => [j, teacherDepth - studentDepth + j]);
  return inner.flatMap((j) => {
    const scaled = j * teacherDepth;
    return scaled % studentDepth === 0 ? [[j, scaled / studentDepth] as const] : [];
  });
}

/** The teacher's layer of student layers 1..M, as TinyBERT maps them (M student layers, N teacher layers). */
export function layerMap(map: LayerMap, studentDepth: number, teacherDepth: number): readonly number[] {
  const problem = layerMapProblem(map, studentDepth, teacherDepth);
  if (problem) throw internal(problem);
  if (typeof map !== 'string') return map;
  const block = teacherDepth / studentDepth;
  const of = {
    uniform: (m: number) => m * block,
    top: (m: number) => m + teacherDepth - studentDepth,
    bottom: (m: number) => m,
  };
  return layersOf(studentDepth).map(of[map]);
}

/** Why the layers cannot be mapped so, and what can be written instead. */
export function layerMapProblem(map: LayerMap, studentDepth: number, teacherDepth: number): string | undefined {
  if (studentDepth < 1 || teacherDepth < 1)
    return `no layers to compare: the student has ${studentDepth}, the teacher ${teacherDepth}`;
  if (typeof map !== 'string') {
    if (map.length !== studentDepth)
      return `map must give the teacher's layer of each of the student's ${studentDepth} layers, found ${map.length}`;
    const outside = map.find((layer) => !isLayer(layer, teacherDepth));
    return outside === undefined ? undefined : `map names layer ${outside}, the teacher has 1 to ${teacherDepth}`;
  }
  const possible = map === 'uniform' ? teacherDepth % studentDepth === 0 : teacherDepth >= studentDepth;
  if (possible) return undefined;
  const need = map === 'uniform' ? "a multiple of the student's layers" : "at least the student's layers";
  const example = layersOf(studentDepth).map((m) => proportional(m, studentDepth, teacherDepth));
  return (
    `map=${map} needs ${need}, here ${studentDepth}, in the teacher, found ${teacherDepth}: ` +
    `give the teacher's layer of each, such as ${JSON.stringify(example)}`
  );
}

function isLayer(layer: number, depth: number): boolean {
  return Number.isInteger(layer) && layer >= 1 && layer <= depth;
}

function layersOf(depth: number): number[] {
  return Array.from({ length: depth }, (_, i) => i + 1);
}

/** A layer of the teacher for any depths; the last of the student has the last of the teacher. */
function proportional(layer: number, studentDepth: number, teacherDepth: number): number {
  return Math.ceil((layer * teacherDepth) / studentDepth);
}
