import { html, type Html } from '../html.ts';
import type { RankReading } from '../read-ranks.ts';
import type { ReportSamples, SamplePrompt } from '../report-data.ts';

/** What the model writes at some ranks, side by side, or why there is nothing to show. */
export function samplesSection(samples: ReportSamples, reading: RankReading | null): Html {
  const content =
    'missing' in samples
      ? html`<p>No samples. ${samples.missing}</p>`
      : samples.prompts.length === 0
        ? html`<p>No samples were asked for.</p>`
        : samples.prompts.map((sample) => sampleCard(sample, reading));
  return html`<section class="samples">
    <h2>What it writes</h2>
    ${content}
  </section>`;
}

function sampleCard({ prompt, expected, byRank }: SamplePrompt, reading: RankReading | null): Html {
  return html`<article class="sample">
    <h3>Prompt</h3>
    ${text(prompt)}${
      expected
        ? html`<h3>Expected answer</h3>
            ${text(expected)}`
        : null
    }
    <div class="answers">
      ${byRank.map(
        (answer) =>
          html`<div class="answer">
            <h3>${rankName(answer.rank, reading)}</h3>
            ${answer.text.trim() === '' ? html`<p class="nothing">(nothing)</p>` : text(answer.text)}
          </div>`,
      )}
    </div>
  </article>`;
}

/**
 * Long texts scroll inside their box, also by keyboard; `dir` keeps a text of the other direction to itself.
 */
const text = (content: string): Html => html`<div class="text" dir="auto" tabindex="0">${content}</div>`;

function rankName(rank: number | null, reading: RankReading | null): Html {
  if (rank === null) return html`Without adapter`;
  const name = html`Rank ${String(rank)}`;
  if (rank === reading?.best.rank) return html`${name} <span class="tag best">best</span>`;
  if (rank !== reading?.good.rank) return name;
  return html`${name} <span class="tag smallest-good">smallest not worse</span>`;
}
