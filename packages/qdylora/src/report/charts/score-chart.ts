import type { ScoreReport, ScoreRow } from '@qdylora/eval';
import { byteSizeText } from '../../config/values/byte-size.ts';
import { html, type Html } from '../html.ts';
import { intervalText, lossText } from '../number-text.ts';
import { metricName, SCORE_VERDICT_TEXT, scoreVerdict } from '../read-tasks.ts';
import { sizeMarks } from './budget-chart.ts';
import { chartSvg } from './chart-axes.ts';
import type { Box } from './place-label.ts';
import { extent, linearScale, widened, type Scale } from './scale.ts';

/** A rank with its size, at a place. */
interface Mark {
  readonly row: ScoreRow;
  readonly x: number;
  readonly y: number;
}

/**
 * Score of each rank with its 95 % interval over the logarithm of the adapter's bytes. The line is the Pareto
 * front: the ranks that no smaller one equals. The base is a dashed line. Null where sizes are unknown.
 */
export function scoreChart(report: ScoreReport, width: number): Html | null {
  const rows = report.ranks.filter(({ score, adapterBytes }) => Number.isFinite(score) && adapterBytes);
  const sizes = extent(rows.map(({ adapterBytes }) => Math.log2(adapterBytes!)));
  const values = extent([
    ...rows.flatMap(({ score, interval }) => [score, ...interval]),
    ...(report.base ? [report.base.score] : []),
  ]);
  if (!sizes || !values) return null;
  const box: Box = { left: 52, right: width - 14, top: 34, bottom: 250 };
  const domain = widened(values, 0.12);
  const place = linearScale(sizes, [box.left + 26, box.right - 30]);
  const x: Scale = (bytes) => place(Math.log2(bytes));
  const y = linearScale(domain, [box.bottom, box.top]);
  const marks = rows.map((row): Mark => ({ row, x: x(row.adapterBytes!), y: y(row.score) }));
  const front = marks.filter(({ row }) => isOnFront(row, report));
  const height = box.bottom + 46;
  return chartSvg(
    {
      width,
      height,
      label: `Score of each rank on ${report.task} over the bytes of the adapter; the table has the figures`,
    },
    box,
    {
      x,
      y,
      domain,
      valueName: `${report.task}: ${metricName(report)}`,
      marks: sizeMarks(
        rows.map(({ adapterBytes }) => ({ bytes: adapterBytes! })),
        x,
      ),
      markName: 'bytes of the adapter',
    },
    html`${report.base ? baseLine(report.base.score, box, y) : null}
    <path class="curve" d="${front.map((mark, i) => html`${i === 0 ? 'M' : 'L'}${mark.x} ${mark.y}`)}" />
    ${marks.map((mark) => scoreMark(mark, report, y))}`,
  );
}

/** No smaller rank has a score as good as this one. */
const isOnFront = ({ rank, score }: ScoreRow, { ranks, higherIsBetter }: ScoreReport): boolean =>
  ranks.every((other) => other.rank >= rank || (higherIsBetter ? other.score < score : other.score > score));

/** Named at its left end: the points have their ranks at their right sides. */
const baseLine = (score: number, { left, right }: Box, y: Scale): Html =>
  html`<g class="base"
    ><path d="M${left} ${y(score)}H${right}" /><text x="${left}" y="${y(score) - 5}"
      >base</text
    ></g
  >`;

function scoreMark({ row, x, y: centre }: Mark, report: ScoreReport, y: Scale): Html {
  const { rank, score, interval, adapterBytes } = row;
  const verdict = scoreVerdict(row, report);
  const ends = interval.every(Number.isFinite) ? interval.map(y) : null;
  const bar = ends
    ? html`<path d="M${x} ${ends[0]}V${ends[1]}M${x - 4} ${ends[0]}h8M${x - 4} ${ends[1]}h8" />`
    : null;
  const title =
    `rank ${rank}, ${byteSizeText(adapterBytes!)}: ${lossText(score)} ${intervalText(interval)} ` +
    SCORE_VERDICT_TEXT[verdict];
  return html`<g class="mark ${verdict}"
    ><title>${title.trim()}</title>${bar}<circle cx="${x}" cy="${centre}" r="5" /><text
      class="label"
      x="${x + 9}"
      y="${centre - 8}"
      >${String(rank)}</text
    ></g
  >`;
}
