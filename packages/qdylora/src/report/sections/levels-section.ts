import type { LevelReport, MeasuredLoss } from '@qdylora/eval';
import { html, type Html } from '../html.ts';
import { errorText, lossText } from '../number-text.ts';

/** Held-out loss at each pair of rank and quantization level: a row a rank, a column a level. */
export function levelsSection(levels: readonly LevelReport[]): Html {
  const ranks = levels[0]!.report.ranks.map(({ rank }) => rank);
  const hasBase = levels.every(({ report }) => report.base);
  return html`<section>
    <h2>Ranks and quantization levels</h2>
    <table role="table">
      <thead role="rowgroup">
        <tr role="row">
          <th role="columnheader" scope="col">Rank</th>
          ${levels.map(({ level }) => html`<th role="columnheader" scope="col">${level} bits</th>`)}
        </tr>
      </thead>
      <tbody role="rowgroup">
        ${hasBase ? gridRow('base', 'base-row', levels, ({ report }) => report.base!) : null}
        ${ranks.map((rank, i) => gridRow(String(rank), 'row', levels, ({ report }) => report.ranks[i]!))}
      </tbody>
    </table>
    <p class="caption">
      Held-out loss of one adapter with the base weights at each number of bits, with its standard error.
    </p>
  </section>`;
}

const gridRow = (
  name: string,
  kind: string,
  levels: readonly LevelReport[],
  lossOf: (report: LevelReport) => MeasuredLoss,
): Html =>
  html`<tr role="row" class="${kind}">
    <th role="rowheader" scope="row">${name}</th>
    ${levels.map((report) => lossCell(report.level, lossOf(report)))}
  </tr> `;

const lossCell = (level: number, { loss, standardError }: MeasuredLoss): Html =>
  html`<td role="cell" data-name="${level} bits">
    ${lossText(loss)} <span class="error">${errorText(standardError)}</span>
  </td>`;
