/** Reliability diagrams: how often a model is right when it is so sure. */
import { plotBase, type Plot } from 'kdx/page';
import type { Calibration } from './report.ts';

/** Pixels; two fit beside one another on a phone. */
const size = 165;

/** Accuracy over confidence by bin, the area of a point being its share of the examples. */
export function reliabilityPlot(name: string, { bins, expectedCalibrationError }: Calibration, classes: number): Plot {
  const filled = bins.filter(({ count }) => count > 0);
  const total = filled.reduce((sum, { count }) => sum + count, 0);
  const values = filled.map(({ confidence, accuracy, count }) => ({ confidence, accuracy, share: count / total }));
  const low = Math.floor(10 / classes) / 10;
  const ends = [low, 1];
  const shares = [0, 1];
  const x = {
    field: 'confidence',
    type: 'quantitative',
    scale: { domain: ends },
    axis: { tickCount: 4, format: '~g' },
  } as const;
  const y = {
    field: 'accuracy',
    type: 'quantitative',
    scale: { domain: shares },
    axis: { tickCount: 4, format: '~g' },
  } as const;
  const error = expectedCalibrationError.mean.toFixed(4);
  return {
    title: name,
    caption: `ECE ${error}`,
    description: `expected calibration error ${error}`,
    spec: {
      ...plotBase,
      width: size,
      height: size,
      layer: [
        {
          data: { values: ends.map((end) => ({ confidence: end, accuracy: end })) },
          mark: { type: 'line', color: 'var(--muted)', strokeDash: [4, 3], strokeWidth: 1 },
          encoding: { x, y },
        },
        { data: { values }, mark: { type: 'line', color: 'var(--s1)', strokeWidth: 1.2 }, encoding: { x, y } },
        {
          data: { values },
          mark: { type: 'point', filled: true, color: 'var(--s1)', opacity: 0.85 },
          encoding: {
            x,
            y,
            size: { field: 'share', type: 'quantitative', legend: null, scale: { domain: shares, range: [10, 260] } },
          },
        },
      ],
    },
  };
}
