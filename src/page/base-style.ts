/** What all pages have: the colours of text and lines, light and dark, the font, the largest heading. */

/** Of a page and of its pictures. */
export const fontFamily = 'system-ui, -apple-system, "Segoe UI", "Liberation Sans", Arial, sans-serif';

/** A page adds the colour of its paper. */
export const baseStyle = `
:root { color-scheme: light dark;
  --ink: #1b1f24; --muted: #5b6470; --line: #d0d5dc; --accent: #1f5fa8; --bad: #b3261e; }
@media (prefers-color-scheme: dark) { :root {
  --ink: #e8eaed; --muted: #a3abb5; --line: #3d444d; --accent: #7ab8ff; --bad: #ff8f85; } }
* { box-sizing: border-box; }
body { background: var(--paper); color: var(--ink); font: 16px/1.5 ${fontFamily}; }
h1 { font-size: 1.6rem; line-height: 1.25; }
`;
