/** Parts of a page as HTML text: no script, nothing loaded from anywhere. Every text is escaped here. */
import type { Plot } from './plot.ts';
import { pageStyle } from './style.ts';
import { drawSvg } from './svg.ts';
import type { ReportTable, TableCell } from './table.ts';

/** Forbids the page everything but its own style. */
const policy = "default-src 'none'; style-src 'unsafe-inline'";

export interface HtmlPage {
  readonly title: string;
  /** HTML. */
  readonly body: string;
  /** Rules beside those of all pages. */
  readonly style?: string;
}

export function htmlPage({ title, body, style = '' }: HtmlPage): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<title>${escapeHtml(title)}</title>
<style>${pageStyle}${style}</style>
</head>
<body>
<h1>${escapeHtml(title)}</h1>
${body}
</body>
</html>
`;
}

/** @param size `small `: two beside one another on a phone */
export async function htmlFigures(plots: readonly Plot[], size: '' | 'small ' = ''): Promise<string> {
  const drawn: string[] = [];
  for (const { title, caption, description, spec } of plots)
    drawn.push(
      `<figure><h3>${escapeHtml(title)}</h3><div role="img" aria-label="${escapeHtml(`${title}: ${description}`)}">` +
        `${await drawSvg(spec)}</div><figcaption>${escapeHtml(caption)}</figcaption></figure>`,
    );
  return `<div class="${size}plots">\n${drawn.join('\n')}\n</div>`;
}

export function htmlTable({ title, columns, rows }: ReportTable): string {
  const head = columns.map((column) => `<th scope="col">${escapeHtml(column)}</th>`).join('');
  const body = rows.map(([name, ...cells]) => {
    return `<tr><th scope="row">${escapeHtml(name!.text)}</th>${cells.map(dataCell).join('')}</tr>`;
  });
  return (
    `<h3>${escapeHtml(title)}</h3>\n<div class="scroll"><table><thead><tr>${head}</tr></thead>\n` +
    `<tbody>${body.join('\n')}</tbody></table></div>`
  );
}

function dataCell({ text, path, note, mark }: TableCell): string {
  const place = path === undefined ? '' : ` data-path="${escapeHtml(path)}"`;
  const kind = mark === undefined ? '' : ` class="${mark}"`;
  const small = note === undefined ? '' : `<small>${escapeHtml(note)}</small>`;
  return `<td${place}${kind}>${escapeHtml(text)}${small}</td>`;
}

export function htmlDefinitions(facts: readonly (readonly [name: string, value: string])[]): string {
  const items = facts.map(([name, value]) => `<dt>${escapeHtml(name)}</dt><dd>${escapeHtml(value)}</dd>`);
  return `<dl>${items.join('')}</dl>`;
}

/** Empty without texts. */
export function htmlList(texts: readonly string[]): string {
  return texts.length === 0 ? '' : `<ul>${texts.map((text) => `<li>${escapeHtml(text)}</li>`).join('')}</ul>`;
}

/** For text between tags and in quoted attributes. */
export function escapeHtml(text: string): string {
  const entities: Readonly<Record<string, string>> = {
    '&': '&amp;',
    '<': '&lt;',
    '>': '&gt;',
    '"': '&quot;',
    "'": '&#39;',
  };
  return text.replace(/[&<>"']/g, (character) => entities[character] as string);
}
