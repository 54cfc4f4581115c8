import { html, type Html } from '../html.ts';
import { countText } from '../number-text.ts';
import type { ReportStep } from '../report-data.ts';
import type { Box } from './place-label.ts';
import type { Scale } from './scale.ts';

const ROW = 15;
const TITLE = 24;
/** With more ranks the rows would outgrow the chart, with more steps the ticks would run together. */
const MOST_ROWS = 16;
const MOST_STEPS = 600;

/** Ranks that were trained, rising; empty where a strip would show nothing. */
function trainedRanks(steps: readonly ReportStep[]): number[] {
  const ranks = [...new Set(steps.flatMap((step) => step.ranks))].sort((a, b) => a - b);
  return ranks.length < 2 || ranks.length > MOST_ROWS || steps.length > MOST_STEPS ? [] : ranks;
}

export const rankStripHeight = (steps: readonly ReportStep[]): number => {
  const rows = trainedRanks(steps).length;
  return rows === 0 ? 0 : TITLE + rows * ROW + 4;
};

/** One row a rank with a tick at each step that has trained it, and how many those were. */
export function rankStrip(steps: readonly ReportStep[], { left, right, top }: Box, x: Scale): Html | null {
  const ranks = trainedRanks(steps);
  if (ranks.length === 0) return null;
  const rows = ranks.map((rank, i) => {
    const at = steps.filter((step) => step.ranks.includes(rank));
    const y = top + TITLE + i * ROW;
    return html`<text x="${left - 8}" y="${y + 9}" text-anchor="end">${String(rank)}</text
      ><path class="trained" d="${at.map(({ step }) => html`M${x(step)} ${y}v10`)}" /><text
        x="${right + 8}"
        y="${y + 9}"
        >${`${countText(at.length)}×`}</text
      >`;
  });
  return html`<g class="axis strip"
    ><text class="title" x="4" y="${top + 10}">ranks trained at each step</text>${rows}</g
  >`;
}
