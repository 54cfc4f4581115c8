import type { MeasuredLoss, PairedDifference, RankRow } from '@qdylora/eval';
import { byteSizeText } from '../../config/values/byte-size.ts';
import { html, type Html } from '../html.ts';
import { errorText, lossText, perplexityText, pValueText, signedText } from '../number-text.ts';
import { VERDICT_TEXT, type RankReading } from '../read-ranks.ts';

interface Column {
  readonly name: string;
  readonly ofRank: (row: RankRow) => Html | null;
  readonly ofBase: (base: MeasuredLoss) => Html | null;
}

/**
 * All ranks in numbers. ARIA roles are explicit because a phone shows a row as a card, which would remove the
 * meaning of the table.
 */
export function tableSection(reading: RankReading): Html {
  const {
    report: { base, ranks },
    verdictOf,
  } = reading;
  const columns = columnsOf(reading);
  return html`<section>
    <h2>All ranks</h2>
    <table role="table">
      <thead role="rowgroup">
        <tr role="row">
          <th role="columnheader" scope="col">Rank</th>
          ${columns.map(({ name }) => html`<th role="columnheader" scope="col">${name}</th>`)}
          <th role="columnheader" scope="col"><span class="hidden">Verdict</span></th>
        </tr>
      </thead>
      <tbody role="rowgroup">
        ${
          base &&
          tableRow(
            'base',
            'base-row',
            columns.map(({ name, ofBase }) => cell(name, ofBase(base))),
            'without adapter',
          )
        }
        ${ranks.map((row) =>
          tableRow(
            String(row.rank),
            verdictOf(row),
            columns.map(({ name, ofRank }) => cell(name, ofRank(row))),
            VERDICT_TEXT[verdictOf(row)],
          ),
        )}
      </tbody>
    </table>
    <p class="caption">${caption(reading)}</p>
  </section>`;
}

/** Comparisons and sizes have a column only where there are any. */
function columnsOf({ best, decimals, report: { alpha, base, ranks } }: RankReading): Column[] {
  const loss = (measured: MeasuredLoss): Html =>
    withError(lossText(measured.loss, decimals), measured.standardError, decimals);
  const perplexity = (measured: MeasuredLoss): Html => html`${perplexityText(measured.perplexity)}`;
  const against = (difference: PairedDifference | null): Html | null =>
    difference && differenceText(difference, alpha, decimals);
  const columns: (Column | null)[] = [
    { name: 'Held-out loss', ofRank: loss, ofBase: loss },
    { name: 'Perplexity', ofRank: perplexity, ofBase: perplexity },
    base && { name: 'Against base', ofRank: ({ versusBase }) => against(versusBase), ofBase: () => null },
    ranks.length === 1
      ? null
      : {
          name: 'Against best',
          ofRank: (row) => (row === best ? null : against(row.versusBest)),
          ofBase: () => null,
        },
    ranks.every(({ adapterBytes }) => adapterBytes === null)
      ? null
      : {
          name: 'Adapter',
          ofRank: ({ adapterBytes }) => (adapterBytes === null ? null : html`${byteSizeText(adapterBytes)}`),
          ofBase: () => null,
        },
  ];
  return columns.filter((column) => column !== null);
}

const tableRow = (name: string, kind: string, cells: readonly Html[], verdict: string): Html =>
  html`<tr role="row" class="${kind}">
    <th role="rowheader" scope="row">${name}</th>
    ${cells}
    <td role="cell" class="verdict">${verdict}</td>
  </tr> `;

function cell(column: string, content: Html | null): Html {
  const emptyClass = content ? null : html` class="empty"`;
  return html`<td role="cell" data-name="${column}"${emptyClass}>${content ?? '–'}</td>`;
}

const withError = (value: Html | string, standardError: number, decimals: number): Html =>
  html`${value} <span class="error">${errorText(standardError, decimals)}</span>`;

/** A star where the difference is significant. Its place is kept elsewhere, so that digits are aligned. */
function differenceText(
  { mean, standardError, pValue }: PairedDifference,
  alpha: number,
  decimals: number,
): Html | null {
  if (!Number.isFinite(mean)) return null;
  const star = html`<span class="star">${pValue < alpha ? '*' : ''}</span>`;
  const difference = withError(html`${signedText(mean, decimals)}${star}`, standardError, decimals);
  return html`<span title="${pValueText(pValue)}">${difference}</span>`;
}

function caption({ report: { alpha, aurac, auracLinear, examples, ranks }, decimals }: RankReading): string {
  const star =
    examples < 2
      ? ''
      : `* differs significantly (α = ${alpha}${ranks.length > 1 ? ' over all ranks together' : ''}). `;
  const area =
    aurac === null || !Number.isFinite(aurac) || ranks.length === 1
      ? ''
      : `AURAC ${lossText(aurac, decimals)} over log2 of the rank, ` +
        `${lossText(auracLinear ?? NaN, decimals)} over the rank.`;
  return star + area;
}
