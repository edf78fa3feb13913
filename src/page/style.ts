/** The style of a report's page: light and dark, wide and narrow. */
import { baseStyle } from './base-style.ts';

const light = `
  --paper: #ffffff; --panel: #f5f6f8; --grid: #dfe3e8;
  --better: #0b6e4f; --worse: var(--bad);
  --s1: var(--accent); --s2: #b84a00; --s3: #1d7a46; --s4: #9c2f86; --s5: #6b5d00; --s6: #5446b8; --s7: #b3263f; --s8: #0f7480;`;

const dark = `
  --paper: #14171b; --panel: #1d2126; --grid: #343a42;
  --better: #5fd3a4;
  --s2: #ffab66; --s3: #72d69a; --s4: #f09be0; --s5: #e0cf62; --s6: #b3a8ff; --s7: #ff8b9e; --s8: #66d3de;`;

export const pageStyle = `${baseStyle}
:root { ${light} }
@media (prefers-color-scheme: dark) { :root { ${dark} } }
body { margin: 0 auto; max-width: 1180px; padding: 1.25rem; }
h1 { margin: 0.5rem 0; }
h2 { font-size: 1.25rem; margin: 2rem 0 0.5rem; }
h3 { font-size: 1rem; margin: 1.25rem 0 0.4rem; }
p, ul { max-width: 75ch; margin: 0.5rem 0; }
ul { padding-left: 1.2rem; }
h1, li, p, dd { overflow-wrap: anywhere; }
summary { cursor: pointer; padding: 0.4rem 0; }
summary h2 { display: inline; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: 0.875rem; font-variant-numeric: tabular-nums; }
th, td { padding: 0.35rem 0.7rem; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap;
  vertical-align: top; }
th:first-child { position: sticky; left: 0; background: var(--paper); text-align: left; max-width: 12rem; overflow: hidden;
  text-overflow: ellipsis; padding-left: 0; }
thead th { color: var(--muted); font-weight: 600; }
tbody th { font-weight: 600; }
td small { display: block; color: var(--muted); }
td.better small { color: var(--better); }
td.worse small { color: var(--worse); }
.plots { display: grid; margin-top: 1.5rem; grid-template-columns: repeat(auto-fill, minmax(min(100%, 350px), 1fr)); gap: 1rem 1.5rem; }
.small.plots { grid-template-columns: repeat(auto-fill, minmax(160px, 1fr)); gap: 1rem; }
figure { margin: 0.75rem 0 0; }
figure h3 { margin: 0 0 0.25rem; overflow-wrap: anywhere; }
figcaption { color: var(--muted); font-size: 0.8125rem; max-width: 350px; }
svg { display: block; max-width: 100%; height: auto; }
pre { background: var(--panel); padding: 0.75rem; overflow-x: auto; font-size: 0.8125rem; border-radius: 6px; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 0.2rem 1rem; margin: 0.5rem 0; }
dt { color: var(--muted); }
dd { margin: 0; }
@media (max-width: 480px) { body { padding: 0.9rem; } th, td { padding: 0.35rem 0.5rem; } }
`;
