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
  const sizes = hasSizes
    ? html`<figure>${twoWidths((width) => sizeChart(reading, width), SIZE_WIDTH)}</figure>`
    : null;
  return html`<section>
    <h2>Held-out loss and size at each rank</h2>
    <div class="pair">
      <figure>${twoWidths((width) => rankChart(reading, width), LOSS_WIDTH)}</figure>
      ${sizes}
    </div>
    <p class="caption">${captionOf(reading)}</p>
  </section>`;
}

function captionOf({ report: { ranks } }: RankReading): string {
  if (!ranks.some(({ standardError }) => Number.isFinite(standardError))) return '';
  const bars = 'Bars: one standard error up and down. ';
  if (ranks.length === 1) return bars;
  return (
    `${bars}Filled points are not significantly worse than the best; hollow points are. Ranks are compared ` +
    'example by example. This detects smaller differences than the bars suggest: bars may overlap and the ' +
    'difference still be significant.'
  );
}
