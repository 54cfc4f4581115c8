import { html, type Html } from '../html.ts';
import type { ReportData } from '../report-data.ts';

/** The settings of the run. */
export function runSection({ settings, notes }: ReportData): Html | null {
  if (settings.length === 0 && notes.length === 0) return null;
  return html`<section>
    <h2>What was run</h2>
    ${
      notes.length === 0
        ? null
        : html`<ul class="notes">
            ${notes.map((note) => html`<li>${note}</li>`)}
          </ul>`
    }
    <dl class="settings">
      ${settings.map(
        ({ name, value }) =>
          html`<div>
            <dt>${name}</dt>
            <dd>${value}</dd>
          </div>`,
      )}
    </dl>
  </section>`;
}
