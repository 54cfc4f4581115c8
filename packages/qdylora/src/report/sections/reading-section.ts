import { html, type Html } from '../html.ts';
import { countOf, countText, lossText } from '../number-text.ts';
import type { RankReading } from '../read-ranks.ts';

/** Two or three sentences for who has not met the statistics. */
export function readingSection({
  report: { alpha, aurac, base, examples, ranks, tokens, detectableDifference },
  decimals,
}: RankReading): Html | null {
  const measured =
    `The loss is the mean over ${countText(tokens)} predicted tokens of ` +
    `${countOf(examples, 'held-out example')}.${examples < 2 ? '' : ' Its standard error treats an example, not a token, as ' + 'what was ' + 'drawn.'}`;
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
  return html`<section>
    <h2>How to read it</h2>
    <p>${measured}</p>
    <p>
      ${`Each rank is compared with the best${base ? ' and with the base' : ''} on the same examples, pair ` + `by pair (Student’s t), and the p-values are corrected for the number of ranks by ` + `Holm’s ` + `method at α = ${alpha}. “Not worse” means that these examples cannot tell the rank from ` + `the best, not that the two are equal.${power}`}
    </p>
    ${aurac === null ? null : html`<p>AURAC, the area under the rank curve, is the gain (base loss minus loss at the rank) averaged over log2 of the rank by the trapezoid rule: one figure for how good the whole set of ranks is.</p>`}
  </section>`;
}
