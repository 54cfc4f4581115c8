import type { BudgetReport, BudgetRow, NotWorseBudget } from '../../recipes/budgets/budget-report.ts';
import { byteSizeText } from '../../config/values/byte-size.ts';
import { budgetChart, type SizeCurve } from '../charts/budget-chart.ts';
import { html, type Html } from '../html.ts';
import { countOf, errorText, lossText } from '../number-text.ts';
import type { RankReading } from '../read-ranks.ts';
import { twoWidths } from './two-widths.ts';

const WIDTH = 1000;

/** Loss over bytes: one rank at every layer, and a rank for each layer. Null where no size was measured. */
export function budgetsSection(reading: RankReading, budgets: BudgetReport | null | undefined): Html | null {
  if (!budgets || budgets.budgets.length === 0) return null;
  const curves = curvesOf(reading, budgets);
  return html`<section>
    <h2>Loss over bytes</h2>
    <p>${budgetSentence(reading, budgets)}</p>
    <figure>${twoWidths((width) => budgetChart(curves, width), WIDTH)}</figure>
    ${table(reading, budgets)}
    <p class="caption">${caption(reading, budgets)}</p>
  </section>`;
}

function curvesOf({ report, decimals }: RankReading, { budgets }: BudgetReport): SizeCurve[] {
  const titleOf = (name: string, bytes: number, loss: number): string =>
    `${name}, ${byteSizeText(bytes)}: ${lossText(loss, decimals)}`;
  return [
    {
      name: 'a rank for each layer',
      isStrong: true,
      points: budgets.map(({ adapterBytes: bytes, loss, standardError }) => ({
        bytes,
        loss,
        standardError,
        label: '',
        title: titleOf('a rank for each layer', bytes, loss),
      })),
    },
    {
      name: 'one rank at every layer',
      isStrong: false,
      points: report.ranks.flatMap(({ rank, adapterBytes: bytes, loss, standardError }) =>
        bytes === null
          ? []
          : [
              {
                bytes,
                loss,
                standardError,
                label: String(rank),
                title: titleOf(`rank ${rank}`, bytes, loss),
              },
            ],
      ),
    },
  ];
}

/** Which size with a rank for each layer is not worse than the recommended rank. */
export function budgetSentence(
  { good, report: { examples } }: RankReading,
  { budgets, smallestNotWorse }: BudgetReport,
): string {
  const notWorse = smallestNotWorse.find(({ rank }) => rank === good.rank);
  const rank = `rank ${good.rank} at every layer, which takes ${byteSizeText(good.adapterBytes!)}`;
  if (!notWorse) return 'One held-out example cannot tell sizes apart.';
  const row = budgets.find(({ budgetBytes }) => budgetBytes === notWorse.budgetBytes);
  if (!row) return `Every measured size with a rank for each layer is worse than ${rank}.`;
  const size = byteSizeText(row.adapterBytes);
  return row.adapterBytes < good.adapterBytes!
    ? `With a rank for each layer, ${size} are not worse than ${rank}, as far as ${examples} examples can ` +
        'tell.'
    : `A rank for each layer saves nothing here. The smallest measured size with it that is not worse is ` +
        `${size}. Rank ${good.rank} at every layer takes ${byteSizeText(good.adapterBytes!)}.`;
}

/**
 * The largest rank for which this is the smallest size that is not worse. Larger sizes were compared too, but
 * the report does not say how.
 */
function verdictOf({ budgetBytes }: BudgetRow, smallestNotWorse: readonly NotWorseBudget[]): string {
  if (smallestNotWorse.length === 0) return '';
  const notWorse = smallestNotWorse.findLast((one) => one.budgetBytes === budgetBytes);
  if (notWorse) return `not worse than rank ${notWorse.rank}`;
  const isBelowAll = smallestNotWorse.every(
    (one) => one.budgetBytes === null || one.budgetBytes > budgetBytes,
  );
  return isBelowAll ? 'worse than every rank' : '';
}

const COLUMNS = ['Ranks of layers', 'Held-out loss'] as const;

function table({ decimals }: RankReading, { budgets, smallestNotWorse }: BudgetReport): Html {
  const rows = budgets.map((row) => {
    const { adapterBytes, smallestRank, largestRank, loss, standardError } = row;
    const cells = [
      smallestRank === largestRank ? String(largestRank) : `${smallestRank} to ${largestRank}`,
      html`${lossText(loss, decimals)} <span class="error">${errorText(standardError, decimals)}</span>`,
    ];
    return html`<tr role="row" class="sized">
      <th role="rowheader" scope="row">${byteSizeText(adapterBytes)}</th>
      ${cells.map((cell, i) => html`<td role="cell" data-name="${COLUMNS[i]!}">${cell}</td>`)}
      <td role="cell" class="verdict">${verdictOf(row, smallestNotWorse)}</td>
    </tr>`;
  });
  return html`<table role="table">
    <thead role="rowgroup">
      <tr role="row">
        <th role="columnheader" scope="col">Size</th>
        ${COLUMNS.map((name) => html`<th role="columnheader" scope="col">${name}</th>`)}
        <th role="columnheader" scope="col"><span class="hidden">Verdict</span></th>
      </tr>
    </thead>
    <tbody role="rowgroup">
      ${rows}
    </tbody>
  </table>`;
}

const caption = ({ report: { alpha } }: RankReading, { rows }: BudgetReport): string =>
  `Cut from the largest rank: ${countOf(rows, 'training row')} decided which rows of which layer are worth ` +
  `their bytes (qdylora export --budget writes such an adapter). “Not worse” means that the held-out ` +
  `examples cannot tell that it is worse, pair by pair, at α = ${alpha}.`;
