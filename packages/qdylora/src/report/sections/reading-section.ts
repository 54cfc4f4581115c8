import { html, type Html } from '../html.ts';
import { countOf, countText, lossText } from '../number-text.ts';
import type { RankReading } from '../read-ranks.ts';

/** Two or three sentences for readers who do not know these statistics. */
export function readingSection({
  report: { alpha, aurac, base, examples, ranks, tokens, detectableDifference },
  decimals,
}: RankReading): Html | null {
  const errorMeaning =
    examples < 2 ? '' : ' Its standard error treats each example as one draw, not each token.';
  const measured =
    `The loss is the mean over ${countText(tokens)} predicted tokens of ` +
    `${countOf(examples, 'held-out example')}.${errorMeaning}`;
  if (ranks.length === 1 || examples < 2)
    return html`<section>
      <h2>How to read it</h2>
      <p>${measured}</p>
    </section>`;
  const power =
    detectableDifference && Number.isFinite(detectableDifference)
      ? ` A true difference of ${lossText(detectableDifference, decimals)} from the best would be found ` +
        `four times out of five, were it the only comparison.`
      : '';
  const comparison =
    `Each rank is compared with the best${base ? ' and with the base' : ''} on the same examples, pair by ` +
    `pair (Student’s t). The p-values are corrected for the number of ranks by Holm’s method at ` +
    `α = ${alpha}. “Not worse” means that these examples cannot tell the rank from the best, not that the ` +
    `two are equal.${power}`;
  return html`<section>
    <h2>How to read it</h2>
    <p>${measured}</p>
    <p>${comparison}</p>
    ${aurac === null ? null : html`<p>${AURAC_MEANING}</p>`}
  </section>`;
}

const AURAC_MEANING =
  'AURAC, the area under the rank curve, is the gain (base loss minus loss at the rank) averaged over log2 ' +
  'of the rank by the trapezoid rule: one figure for how good the whole set of ranks is.';
