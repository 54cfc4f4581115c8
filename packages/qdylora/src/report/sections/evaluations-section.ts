import { evaluationChart, evaluatedRanks } from '../charts/evaluation-chart.ts';
import { html, type Html } from '../html.ts';
import { lossText } from '../number-text.ts';
import type { ReportEvaluation } from '../report-data.ts';
import { twoWidths } from './two-widths.ts';

const WIDTH = 1000;

/** The evaluations between steps; null where there were fewer than two. */
export function evaluationsSection(evaluations: readonly ReportEvaluation[]): Html | null {
  const chart = evaluations.length < 2 ? null : evaluationChart(evaluations, WIDTH);
  if (!chart) return null;
  return html`<section>
    <h2>Ranks over the steps</h2>
    <figure>${twoWidths((width) => evaluationChart(evaluations, width), WIDTH)}</figure>
    <p class="caption">${caption(evaluations)}</p>
  </section>`;
}

function caption(evaluations: readonly ReportEvaluation[]): string {
  const isNested = evaluatedRanks(evaluations).length > 1;
  const first = evaluations[0];
  const last = evaluations.at(-1)!;
  const best = evaluations.map(({ bestRank }) => bestRank).filter((rank) => rank !== null);
  const curve =
    isNested && best.length > 0
      ? `Best rank: ${[...best.filter((rank, i) => rank !== best[i - 1])].slice(-8).join(' → ')}.`
      : '';
  const area =
    isNested && first.aurac !== null && last.aurac !== null
      ? ` AURAC ${lossText(first.aurac)} at step ${first.step}, ${lossText(last.aurac)} at step ${last.step}.`
      : '';
  return `${curve}${area}`.trim();
}
