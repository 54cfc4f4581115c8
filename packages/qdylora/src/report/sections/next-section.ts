import type { FinishOffer } from '../../recipes/outputs/finish-offer.ts';
import { html, type Html } from '../html.ts';
import { countOf, durationText } from '../number-text.ts';
import type { ReportData } from '../report-data.ts';

/** Commands to select with one click; needs no script. */
export function nextSection({
  nextCommand,
  finish,
}: Pick<ReportData, 'nextCommand' | 'finish'>): Html | null {
  return nextCommand === null
    ? null
    : html`<section class="next">
        <h2>Next</h2>
        <pre tabindex="0"><code>${nextCommand}</code></pre>
        ${finish ? finishPart(finish) : null}
        <p class="caption">One click selects the command.</p>
      </section>`;
}

const finishPart = (finish: FinishOffer): Html =>
  html`<p class="other">${finishText(finish)}</p>
    <pre tabindex="0"><code>${finish.command}</code></pre>
    <p class="caption">
      In this run rank ${String(finish.rank)} shared its steps with other ranks. A finish may not lower its
      loss. Its report has the loss before and after.
    </p>`;

/** What a finish is for, and what it takes. */
export const finishText = ({ rank, share, steps, seconds }: FinishOffer): string =>
  `To get more from rank ${rank} alone (${countOf(steps, 'step')}, ${Math.round(100 * share)} % of the ` +
  `run, about ${durationText(seconds)}):`;
