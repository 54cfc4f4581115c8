import type { TokenWeight } from '@qdylora/data';
import type { RowPreview } from '../recipes/preview-row.ts';
import { html, type Html } from './html.ts';
import { htmlPage } from './html-page.ts';

/** Counted tokens are underlined too, since not all readers can tell the colours apart. */
const STYLE = `
.row{margin-top:36px}
.tokens{
  font:14px/2 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;
  white-space:pre-wrap;
  overflow-wrap:anywhere;
  background:var(--panel);
  border-radius:8px;
  padding:12px 16px;
}
.tokens span{padding:2px 0;border-radius:2px;background:color-mix(in srgb,var(--ink) 5%,transparent)}
.tokens span:nth-child(even){background:color-mix(in srgb,var(--ink) 13%,transparent)}
.tokens .counted{background:color-mix(in srgb,#1a9c4a 26%,transparent);border-bottom:2px solid #1a9c4a}
.tokens .counted:nth-child(even){background:color-mix(in srgb,#1a9c4a 46%,transparent)}
.tokens i{font-style:normal;color:var(--quiet)}
.warning{color:var(--best)}
`;

/**
 * Rows with the weight of every token, as one page that needs neither network nor script: pointing at a token
 * shows its number, its id and its weight.
 */
export const maskPage = (previews: readonly RowPreview[], model: string | null): string =>
  htmlPage({
    title: 'What the loss counts',
    style: STYLE,
    body: html`<p class="subject">${model ?? 'Token ids, without a tokenizer'}</p>
      <h1>What the loss counts</h1>
      <p class="lead">
        Green tokens are learned; grey ones are only read. Every token has a shade of its own; ↵ is a newline.
      </p>
      ${previews.map(rowSection)}`,
  });

function rowSection({
  row,
  format,
  source,
  tokens,
  countedTokens,
  cutTokens,
  lostTokens,
  dropped,
}: RowPreview): Html {
  const cut =
    cutTokens > 0
      ? `, ${cutTokens} more cut off${lostTokens > 0 ? ` (${lostTokens} of them answer)` : ''}`
      : '';
  return html`<section class="row">
    <h2>Row ${row}: ${countedTokens} of ${tokens.length} tokens count${cut}</h2>
    <p class="caption">${format}${source ? ` · ${source}` : ''}</p>
    ${dropped ? html`<p class="warning">Left out of training: ${dropped}.</p>` : null}
    ${html`<div class="tokens">${tokens.map(tokenSpan)}</div>`}
  </section> `;
}

/** White space counts inside `.tokens`, so there is none beside that of the tokens. */
function tokenSpan({ id, text, weight }: TokenWeight, token: number): Html {
  const title = `token ${token}, id ${id}, weight ${weight}`;
  const classes = weight === 1 ? 'counted' : 'read';
  return html`<span title="${title}" class="${classes}">${pieces(text)}</span>`;
}

const NEWLINE: Html = { html: '<i>↵</i>\n' };

/** A newline is a visible sign and a line break; a token that ends inside a character is a dot. */
function pieces(text: string): Html[] {
  if (text === '') return [html`<i>·</i>`];
  return text.split('\n').flatMap((line, i) => (i === 0 ? [html`${line}`] : [NEWLINE, html`${line}`]));
}
