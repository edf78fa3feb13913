/** What the page of a bench adds to the style of all pages. */
export const benchStyle = `
.invalid { color: var(--worse); font-size: clamp(1.9rem, 6vw, 2.75rem); font-weight: 700; line-height: 1.15; max-width: none;
  border-left: 0.4rem solid var(--worse); padding-left: 0.9rem; margin: 1rem 0; }
.partial { color: var(--worse); font-size: 1.15rem; font-weight: 600; }
.series { list-style: none; padding: 0; margin: 1.5rem 0 -0.5rem; max-width: none; display: flex; flex-wrap: wrap; gap: 0.2rem 1.25rem; }
.series li { display: flex; align-items: center; gap: 0.4rem; font-size: 0.875rem; min-width: 0; overflow-wrap: anywhere; }
.series svg { width: 12px; height: 12px; flex: none; }
.claims { font-size: 1.0625rem; }
tbody th:first-child { white-space: normal; overflow-wrap: anywhere; min-width: 9rem; max-width: 16rem; }
@media (max-width: 480px) { tbody th:first-child { max-width: 9.5rem; } }
dd { overflow-wrap: anywhere; min-width: 0; }
dt { max-width: 10rem; overflow-wrap: anywhere; }
`;
