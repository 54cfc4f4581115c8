import { rankStripHeight } from '../charts/rank-strip.ts';
import { smoothingWindow } from '../charts/smooth-losses.ts';
import { trainingChart } from '../charts/training-chart.ts';
import { html, type Html } from '../html.ts';
import { countOf, countText } from '../number-text.ts';
import type { ReportData, ReportStep } from '../report-data.ts';
import { rateSentence } from './rate-sentence.ts';
import { twoWidths } from './two-widths.ts';

const WIDTH = 1000;

/** Loss over the steps, and how near the rate was to the edge; null where only an adapter was judged. */
export function trainingSection({ steps, rate }: Pick<ReportData, 'steps' | 'rate'>): Html | null {
  if (steps.length === 0) return null;
  const window = smoothingWindow(steps.length);
  const skipped = steps.filter(({ loss }) => !Number.isFinite(loss)).length;
  const caption = [
    window > 1 ? `Thin: each step. Thick: mean over ${window} steps, fewer at the ends.` : '',
    trainedOften(steps),
    skipped > 0
      ? `${countOf(skipped, 'step')} had no finite loss and ${skipped === 1 ? 'was' : 'were'} skipped.`
      : '',
  ]
    .filter(Boolean)
    .join(' ');
  if (skipped === steps.length)
    return html`<section>
      <h2>Training loss</h2>
      <p>${caption}</p>
      ${rate ? html`<p>${rateSentence(rate)}</p>` : null}
    </section>`;
  return html`<section>
    <h2>Training loss</h2>
    <figure>${twoWidths((width) => trainingChart(steps, width), WIDTH)}</figure>
    ${caption && html`<p class="caption">${caption}</p>`} ${rate ? html`<p>${rateSentence(rate)}</p>` : null}
  </section>`;
}

/** How many steps trained each rank, for a reader of a run with too many steps to draw them. */
function trainedOften(steps: readonly ReportStep[]): string {
  const counts = new Map<number, number>();
  for (const { ranks } of steps) for (const rank of ranks) counts.set(rank, (counts.get(rank) ?? 0) + 1);
  if (rankStripHeight(steps) > 0 || counts.size < 2 || counts.size > 16) return '';
  return `Steps that trained each rank: ${[...counts]
    .sort(([a], [b]) => a - b)
    .map(([rank, count]) => `${countText(count)} at rank ${rank}`)
    .join(', ')}.`;
}
