import { html, type Html } from '../html.ts';

/** A command to select with one click; needs no script. */
export function nextSection(command: string | null): Html | null {
  return command === null
    ? null
    : html`<section class="next">
        <h2>Next</h2>
        <pre tabindex="0"><code>${command}</code></pre>
        <p class="caption">One click selects the command.</p>
      </section>`;
}
