import { rankChart } from '../charts/rank-chart.ts';
import { sizeChart } from '../charts/size-chart.ts';
import { html, type Html } from '../html.ts';
import type { RankReading } from '../read-ranks.ts';
import { twoWidths } from './two-widths.ts';

/** Widths on a page, side by side. */
const LOSS_WIDTH = 660;
const SIZE_WIDTH = 310;

/** Loss and size per rank, side by side. */
export function ranksSection(reading: RankReading): Html {
  const hasSizes = reading.report.ranks.some(({ adapterBytes }) => adapterBytes);
  const hasErrors = reading.report.ranks.some(({ standardError }) => Number.isFinite(standardError));
  return html`<section>
    <h2>Held-out loss and size at each rank</h2>
    <div class="pair">
      <figure>${twoWidths((width) => rankChart(reading, width), LOSS_WIDTH)}</figure>
      ${hasSizes ? html`<figure>${twoWidths((width) => sizeChart(reading, width), SIZE_WIDTH)}</figure>` : null}
    </div>
    <p class="caption">
      ${hasErrors ? 'Bars: one standard error up and down. ' : ''}${reading.report.ranks.length === 1 || !hasErrors ? '' : 'Filled points are not significantly worse than the best, hollow ones ' + 'are. ' + 'Whether two ' + 'ranks differ is judged on the same examples, pair by pair: that is finer than the ' + 'bars, ' + 'which may overlap all the ' + 'same.'}
    </p>
  </section>`;
}
