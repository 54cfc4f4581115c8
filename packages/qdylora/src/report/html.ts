/** Text that is markup already. */
export interface Html {
  readonly html: string;
}

export type HtmlPart = Html | string | number | null | readonly HtmlPart[];

/**
 * Template of markup: what is put in is escaped unless it is `Html` itself, so text from outside cannot
 * become markup. Lists are joined, null is nothing, numbers are rounded to hundredths (they are coordinates).
 *
 * @example
 * html`<p>${'1 < 2'}</p>`.html; // <p>1 &lt; 2</p>
 */
export function html(texts: TemplateStringsArray, ...parts: readonly HtmlPart[]): Html {
  return { html: texts.map((text, i) => (i === 0 ? text : partText(parts[i - 1]!) + text)).join('') };
}

function partText(part: HtmlPart): string {
  if (part === null) return '';
  if (typeof part === 'number')
    return Number.isFinite(part) ? String(Math.round(part * 100) / 100 || 0) : '–';
  if (typeof part === 'string') return escaped(part);
  return 'html' in part ? part.html : part.map(partText).join('');
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Control characters have no meaning in HTML, and lone surrogates none in UTF-8: both become U+FFFD. */
const escaped = (text: string): string =>
  text
    .replaceAll('\r\n', '\n')
    .replace(/[\0-\x08\x0b-\x1f\x7f]|\p{Surrogate}/gu, '\ufffd')
    .replace(/[&<>"']/g, (c) => ENTITIES[c]);
