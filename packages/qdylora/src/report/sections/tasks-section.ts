import type { MeasuredScore, RankRecommendation, ScoreReport, ScoreRow } from '@qdylora/eval';
import { byteSizeText } from '../../config/values/byte-size.ts';
import { scoreChart } from '../charts/score-chart.ts';
import { html, type Html } from '../html.ts';
import { intervalText, lossText } from '../number-text.ts';
import {
  allTasksSentence,
  metricName,
  SCORE_VERDICT_TEXT,
  scoreVerdict,
  taskSentence,
  type TaskResults,
} from '../read-tasks.ts';
import { twoWidths } from './two-widths.ts';

/** Width of one chart of two side by side, and of a single one. */
const PAIRED_WIDTH = 485;
const SINGLE_WIDTH = 760;

/** Scores on benchmark tasks: the choice for each, its score against bytes, and one table of all. */
export function tasksSection({ comparisons, recommendation, races }: TaskResults): Html | null {
  if (!recommendation) return null;
  const { byTask } = recommendation;
  const width = byTask.length > 1 ? PAIRED_WIDTH : SINGLE_WIDTH;
  const charts = byTask.map((report) => scoreChart(report, width) && chartOf(report, width));
  return html`<section>
      <h2>Scores on tasks</h2>
      <ul class="choices">
        ${byTask.map((one) => html`<li><strong>${one.task}</strong>: ${taskSentence(one, races)}</li>`)}
      </ul>
      ${forAll(recommendation)}
      ${charts.some(Boolean) ? chartFigures(charts) : null}
    </section>
    <section>
      <h2>Every task and rank</h2>
      ${scoreTable(comparisons)}
      <p class="caption">${caption(comparisons)}</p>
    </section>`;
}

const chartFigures = (charts: readonly (Html | null)[]): Html =>
  html`<div class="${charts.length > 1 ? 'equals' : 'single'}">${charts}</div>
    <p class="caption">
      Bars: 95 % confidence intervals. The line joins the ranks that no smaller rank equals. Hollow points
      are significantly worse than the best rank. Ranks are compared document by document. This detects
      smaller differences than the bars suggest: bars may overlap and the difference still be significant.
    </p>`;

function forAll(recommendation: RankRecommendation): Html | null {
  const sentence = allTasksSentence(recommendation);
  return sentence === '' ? null : html`<p>${sentence}</p>`;
}

const chartOf = (report: ScoreReport, wide: number): Html =>
  html`<figure>${twoWidths((width) => scoreChart(report, width), wide)}</figure>`;

/** A row a rank, a column a metric of a task. */
function scoreTable(comparisons: readonly ScoreReport[]): Html {
  const rows = new Map(comparisons.flatMap(({ ranks }) => ranks).map((row) => [row.rank, row]));
  const rising = [...rows.values()].sort((a, b) => a.rank - b.rank);
  const hasBase = comparisons.some(({ base }) => base);
  return html`<div class="scrolled" tabindex="0">
    <table role="table">
      <thead role="rowgroup">
        <tr role="row">
          <th role="columnheader" scope="col">Rank</th>
          ${comparisons.map((report) => html`<th role="columnheader" scope="col">${columnName(report)}</th>`)}
          <th role="columnheader" scope="col">Adapter</th>
        </tr>
      </thead>
      <tbody role="rowgroup">
        ${hasBase ? baseRow(comparisons) : null} ${rising.map((row) => rankRow(row, comparisons))}
      </tbody>
    </table>
  </div>`;
}

const columnName = (report: ScoreReport): string => `${report.task}: ${metricName(report)}`;

const baseRow = (comparisons: readonly ScoreReport[]): Html =>
  html`<tr role="row" class="base-row">
    <th role="rowheader" scope="row">base</th>
    ${comparisons.map((report) => scoreCell(report, report.base, html``))}
    <td role="cell" data-name="Adapter">–</td>
  </tr>`;

/** A rank that a race has dropped has no score over all documents. */
function rankRow({ rank, adapterBytes }: ScoreRow, comparisons: readonly ScoreReport[]): Html {
  return html`<tr role="row">
    <th role="rowheader" scope="row">${String(rank)}</th>
    ${comparisons.map((report) => {
      const row = report.ranks.find((one) => one.rank === rank);
      if (!row) return scoreCell(report, null, html` <span class="tag worse">dropped</span>`);
      const verdict = scoreVerdict(row, report);
      return scoreCell(
        report,
        row,
        html` <span class="tag ${verdict}">${SCORE_VERDICT_TEXT[verdict]}</span>`,
      );
    })}
    <td role="cell" data-name="Adapter">${adapterBytes === null ? '–' : byteSizeText(adapterBytes)}</td>
  </tr>`;
}

const scoreCell = (report: ScoreReport, measured: MeasuredScore | null, tag: Html): Html =>
  html`<td role="cell" data-name="${columnName(report)}">
    ${measured ? lossText(measured.score) : '–'}
    <span class="error">${measured ? intervalText(measured.interval) : ''}</span>${tag}
  </td>`;

function caption(comparisons: readonly ScoreReport[]): string {
  const { alpha, ranks } = comparisons[0];
  const tests = [
    comparisons.some(({ test }) => test === 'mcnemar')
      ? 'McNemar’s exact mid-p test where answers are right or wrong'
      : '',
    comparisons.some(({ test }) => test === 'paired_t') ? 'a paired t-test for other scores' : '',
  ].filter(Boolean);
  const compared =
    ranks.length > 1
      ? ` “Not worse”: the documents do not distinguish the rank from the best (${tests.join(', ')}; ` +
        `Holm over the ranks, α = ${alpha}).`
      : '';
  return (
    `Score and 95 % confidence interval.${compared} The score of the best rank is slightly optimistic, ` +
    'because it was chosen on the same documents.'
  );
}
