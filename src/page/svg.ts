/** Vega-Lite specifications drawn as SVG text, without a browser. */
import type { TopLevelSpec } from 'vega-lite';
import { fontFamily } from './base-style.ts';

const axis = {
  labelColor: 'var(--ink)',
  titleColor: 'var(--ink)',
  titleFontWeight: 'normal',
  gridColor: 'var(--grid)',
  domainColor: 'var(--muted)',
  tickColor: 'var(--muted)',
  labelFontSize: 12,
  titleFontSize: 12,
} as const;

/** Vega is loaded on the first call. */
export async function drawSvg(spec: TopLevelSpec): Promise<string> {
  const [vega, vegaLite] = await Promise.all([import('vega'), import('vega-lite')]);
  const config = {
    font: fontFamily,
    axis,
    aria: false,
    view: { stroke: null },
    legend: { labelColor: 'var(--ink)', labelFontSize: 12 },
  };
  const view = new vega.View(vega.parse(vegaLite.compile(spec, { config }).spec), { renderer: 'none' });
  try {
    return await view.toSVG();
  } finally {
    view.finalize();
  }
}
