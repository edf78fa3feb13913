/** Mutations of JSON: any value replaced, keys removed, renamed and doubled, deep nesting. */
import { hostileJson, hostileNames, pick, type Random } from './hostile-values.ts';

interface Place {
  readonly holder: Record<string, unknown>;
  readonly key: string;
}

function placesIn(value: unknown, places: Place[] = []): Place[] {
  if (typeof value !== 'object' || value === null) return places;
  for (const key of Object.keys(value)) {
    const holder = value as Record<string, unknown>;
    places.push({ holder, key });
    placesIn(holder[key], places);
  }
  return places;
}

/** An own property, whatever its name. */
function set(holder: object, key: string, value: unknown): void {
  Object.defineProperty(holder, key, { value, enumerable: true, configurable: true, writable: true });
}

type Mutate = (place: Place, random: Random, other: Place) => void;

const mutations: Readonly<Record<string, Mutate>> = {
  'value replaced': ({ holder, key }, random) => set(holder, key, structuredClone(pick(random, hostileJson))),
  'value nested': ({ holder, key }, random) => set(holder, key, `nested ${10 ** (1 + random.integer(4))}`),
  'number off by a little': ({ holder, key }, random) =>
    set(holder, key, Number(holder[key]) + pick(random, [-4, -1, 1, 4, 0.5])!),
  'key removed': ({ holder, key }) => delete holder[key],
  'key renamed': ({ holder, key }, random) => {
    const value = holder[key];
    delete holder[key];
    set(holder, pick(random, hostileNames) as string, value);
  },
  'value of another key': ({ holder, key }, _, other) => set(holder, key, structuredClone(other.holder[other.key])),
  'many keys': ({ holder }, random) => {
    for (let i = random.integer(2000); i >= 0; i--) set(holder, `key${i}`, pick(random, hostileNames));
  },
};

/** As text, because JSON.stringify is recursive. */
function nestedArrays(depth: number): string {
  return '['.repeat(depth) + ']'.repeat(depth);
}

/** The text keeps doubled keys, which JSON in memory cannot hold. */
export function mutateJson(valid: string, random: Random): { text: string; what: string } {
  if (random.integer(12) === 0) {
    const doubled = valid.replace('{', `{${/"[^"]*":\s*("[^"]*"|[\d.]+|\{[^{}]*\})/.exec(valid)?.[0] ?? '"a":1'},`);
    return { text: doubled, what: 'key doubled' };
  }
  const value = JSON.parse(valid) as unknown;
  const what = pick(random, Object.keys(mutations)) as string;
  for (let count = 1 + random.integer(2); count > 0; count--) {
    const places = placesIn(value);
    const place = pick(random, places);
    if (place) mutations[what]?.(place, random, pick(random, places) as Place);
  }
  const text = JSON.stringify(value).replaceAll(/"nested (\d+)"/g, (_, depth) => nestedArrays(Number(depth)));
  return { text, what };
}
