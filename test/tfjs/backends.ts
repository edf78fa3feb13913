/** The backends of TensorFlow.js that can be tested here, and why others cannot. */
import { tfjsEngine, type Backend } from '../../plugins/tfjs/src/index.ts';

/** Fastest first. */
export const backends = ['node', 'wasm', 'cpu'] as const satisfies readonly Backend[];

type Tested = (typeof backends)[number];

const reasons = await Promise.all(backends.map(missing));

/** The reason why tests of a backend are skipped, or false. */
export const skipOf = Object.fromEntries(backends.map((backend, i) => [backend, reasons[i]])) as Readonly<
  Record<Tested, string | false>
>;

/** For tests of which one backend is enough; KDX_TEST_TFJS=cpu asks for the slowest, plain JavaScript. */
export const fastest: Tested =
  backends.find((backend) => backend === process.env['KDX_TEST_TFJS']) ??
  backends.find((backend) => !skipOf[backend]) ??
  'cpu';

async function missing(backend: Backend): Promise<string | false> {
  try {
    const engine = await tfjsEngine({ backend });
    await engine.close();
    return false;
  } catch (error) {
    return (error as Error).message;
  }
}
