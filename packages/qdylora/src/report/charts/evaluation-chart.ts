import { html, type Html } from '../html.ts';
import type { ReportEvaluation } from '../report-data.ts';
import { chartAxes, stepMarks } from './chart-axes.ts';
import type { Box } from './place-label.ts';
import { extent, linearScale, widened, type Scale } from './scale.ts';

/** Height of a rank's row in the lower drawing. */
const ROW = 15;
/** Names of lines stand at least so far apart. */
const LINE_HEIGHT = 13;

interface Line {
  readonly rank: number | null;
  readonly isBest: boolean;
  readonly points: readonly { readonly x: number; readonly y: number }[];
}

/**
 * Held-out loss of each evaluated rank over the steps, the finally best one highlighted; below it the best
 * rank at each evaluation. Null without a finite loss.
 */
export function evaluationChart(evaluations: readonly ReportEvaluation[], width: number): Html | null {
  const span = extent(evaluations.flatMap(({ byRank }) => byRank.map(({ loss }) => loss)));
  const ranks = evaluatedRanks(evaluations);
  if (!span) return null;
  const box: Box = { left: 52, right: width - 64, top: 34, bottom: width < 500 ? 200 : 230 };
  const rows = ranks.filter((rank) => rank !== null);
  const x = linearScale([evaluations[0].step, evaluations.at(-1)!.step], [box.left + 6, box.right - 4]);
  const y = linearScale(widened(span, 0.06), [box.bottom, box.top]);
  const last = evaluations.findLast(({ bestRank }) => bestRank !== null)?.bestRank ?? null;
  const top = box.bottom + 62;
  const height = top + (rows.length > 1 ? 28 + rows.length * ROW : -10);
  const lines = ranks.map((rank): Line => ({
    rank,
    isBest: rank === last,
    points: pointsOf(evaluations, rank, x, y),
  }));
  return html`<svg
    viewBox="0 0 ${width} ${height}"
    width="${width}"
    height="${height}"
    role="img"
    aria-label="Held-out loss of each rank over the steps, and the best rank at each evaluation"
  >
    <g class="axis">
      ${chartAxes(box, {
        x,
        y,
        domain: widened(span, 0.06),
        valueName: 'held-out loss (nats per token)',
        marks: stepMarks(box, [evaluations[0].step, evaluations.at(-1)!.step]),
        markName: 'step',
      })}
    </g>
    ${lines.map(({ isBest, points }) => lossLine(points, isBest))}
    ${names(lines, box)} ${rows.length > 1 ? bestRanks(evaluations, rows, { ...box, top }, x) : null}
  </svg>`;
}

function lossLine(points: Line['points'], isBest: boolean): Html {
  const radius = isBest ? 3 : 2;
  return html`<g class="evaluated ${isBest ? 'best' : ''}">
    <path d="${pathOf(points)}" />
    ${points.map(({ x, y }) => html`<circle cx="${x}" cy="${y}" r="${radius}" />`)}
  </g>`;
}

/** Ranks of any evaluation, rising. */
export const evaluatedRanks = (evaluations: readonly ReportEvaluation[]): (number | null)[] =>
  [...new Set(evaluations.flatMap(({ byRank }) => byRank.map(({ rank }) => rank)))].sort(
    (a, b) => (a ?? 0) - (b ?? 0),
  );

const pointsOf = (
  evaluations: readonly ReportEvaluation[],
  rank: number | null,
  x: Scale,
  y: Scale,
): Line['points'] =>
  evaluations.flatMap(({ step, byRank }) => {
    const loss = byRank.find((one) => one.rank === rank)?.loss;
    return loss !== undefined && Number.isFinite(loss) ? [{ x: x(step), y: y(loss) }] : [];
  });

const pathOf = (points: Line['points']): Html =>
  html`${points.map(({ x, y }, i) => html`${i > 0 ? 'L' : 'M'}${x} ${y}`)}`;

/** The name of each line at its end, the best one first; no name where it would cover another. */
function names(lines: readonly Line[], { right }: Box): Html {
  const taken: number[] = [];
  return html`${[...lines]
    .sort((a, b) => Number(b.isBest) - Number(a.isBest))
    .map(({ rank, isBest, points }) => {
      const y = points.at(-1)?.y;
      if (y === undefined || rank === null || taken.some((other) => Math.abs(other - y) < LINE_HEIGHT))
        return null;
      taken.push(y);
      return html`<g class="${isBest ? 'best' : ''}"
        ><text class="label ${isBest ? 'strong' : ''}" x="${right + 4}" y="${y + 4}"
          >rank ${String(rank)}</text
        ></g
      >`;
    })}`;
}

/** One row a rank: a step line through the best rank of each evaluation. */
function bestRanks(
  evaluations: readonly ReportEvaluation[],
  ranks: readonly number[],
  { left, right, top }: Box,
  x: Scale,
): Html {
  const yOf = (rank: number): number => top + 30 + (ranks.length - 1 - ranks.indexOf(rank)) * ROW;
  const best = evaluations.filter(({ bestRank }) => bestRank !== null);
  const rows = ranks.map(
    (rank) =>
      html`<path class="grid" d="M${left} ${yOf(rank)}H${right}" /><text
          x="${left - 8}"
          y="${yOf(rank) + 4}"
          text-anchor="end"
          >${String(rank)}</text
        >`,
  );
  const line = best.map(({ step, bestRank }, i) =>
    i === 0 ? html`M${x(step)} ${yOf(bestRank!)}` : html`H${x(step)}V${yOf(bestRank!)}`,
  );
  const dots = best.map(
    ({ step, bestRank }) => html`<circle cx="${x(step)}" cy="${yOf(bestRank!)}" r="3" />`,
  );
  return html`<g class="axis"
      ><text class="title" x="4" y="${top + 10}">best rank at each evaluation</text>${rows}</g
    ><g class="evaluated best"><path d="${line}" />${dots}</g>`;
}
