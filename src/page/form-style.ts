/** The style of pages that are worked with: cards, forms and alerts in one column. */
import { baseStyle } from './base-style.ts';

/** A page adds its width, and what its buttons look like. */
export const formStyle = `${baseStyle}
:root { --paper: #f6f7f9; --card: #ffffff; }
@media (prefers-color-scheme: dark) { :root { --paper: #14171b; --card: #1d2126; } }
[hidden] { display: none !important; }
body { margin: 0; }
main { margin: 0 auto; padding: 2rem 1.25rem; display: grid; grid-template-columns: minmax(0, 1fr); gap: 1.25rem; }
h1, h2 { margin: 0; }
h2 { font-size: 1.1rem; }
p, li { overflow-wrap: anywhere; }
header p, small { color: var(--muted); }
section, form, [role='alert'] { padding: 1.25rem; background: var(--card); border: 1px solid var(--line);
  border-radius: 12px; }
[role='alert'] { border-color: var(--bad); }
[role='alert'] h2 { color: var(--bad); }
form label, legend { font-weight: 600; }
fieldset { margin: 0; padding: 0; border: 0; display: flex; flex-wrap: wrap; gap: 0.25rem 1.25rem; }
fieldset label { font-weight: 400; }
legend { padding: 0; margin-bottom: 0.25rem; }
input[type='text'], textarea { display: block; width: 100%; margin-top: 0.35rem; padding: 0.6rem 0.75rem; font: inherit;
  color: inherit; background: var(--paper); border: 1px solid var(--line); border-radius: 8px; }
input[type='radio'], progress { accent-color: var(--accent); }
progress { width: 100%; margin-top: 0.5rem; }
button, a[download] { font: inherit; border: 1px solid var(--line); border-radius: 8px; cursor: pointer; }
:focus-visible { outline: 2px solid var(--accent); }
`;
