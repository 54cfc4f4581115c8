import type { RankRow } from '@qdylora/eval';
import { byteSizeText } from '../../config/values/byte-size.ts';
import { html, type Html } from '../html.ts';
import { errorText, lossText } from '../number-text.ts';
import { valueGrid } from './chart-axes.ts';
import { VERDICT_TEXT, type RankReading } from '../read-ranks.ts';
import { boxesAround, leader, placeLabel, textWidth, type Box } from './place-label.ts';
import { extent, linearScale, niceTicks, widened, type Interval, type Scale } from './scale.ts';

/**
 * Height of the strip beyond a break of the axis, for a base whose loss would flatten the curve of the ranks.
 */
const STRIP = 40;
const FONT = 12.5;
/** More points than this are drawn small. */
const MOST_FULL_MARKS = 20;

interface Frame extends Box {
  readonly x: Scale;
  readonly y: Scale;
  readonly ticks: readonly number[];
  readonly tickDecimals: number;
  readonly baseY: number | null;
  readonly brokenAt: number | null;
}

interface Mark {
  readonly row: RankRow;
  readonly x: number;
  readonly y: number;
  readonly top: number;
  readonly bottom: number;
}

/**
 * Held-out loss (± one standard error) over log2 of the rank. The base is a reference line, behind a break of
 * the axis where it is far away. The best rank and the smallest that is not worse are labelled.
 */
export function rankChart(reading: RankReading, width: number): Html {
  const { report, best, good, verdictOf } = reading;
  const frame = frameOf(reading, width);
  const height = frame.bottom + 46;
  const marks = report.ranks
    .filter(({ loss }) => Number.isFinite(loss))
    .map((row): Mark => markOf(row, frame));
  const marked = marks.filter(({ row }) => row === best || row === good);
  const isDense = marks.length > MOST_FULL_MARKS;
  const radius = isDense ? 3 : 5;
  return html`<svg
    viewBox="0 0 ${width} ${height}"
    width="${width}"
    height="${height}"
    role="img"
    aria-label="Held-out loss at each rank; the table has the figures"
  >
    <g class="axis">${yAxis(frame)}${rankAxis(frame, marks, marked)}</g>
    ${baseLine(reading, frame, marks)}
    <path class="curve" d="${pathThrough(marks)}" />
    <g class="${isDense ? 'dense' : 'sparse'}">
      ${marks.map((mark) => rankMark(mark, verdictOf(mark.row), reading.decimals, radius))}
    </g>
    ${labels(marked, marks, frame, reading)}
  </svg>`;
}

function frameOf({ report: { base, ranks } }: RankReading, width: number): Frame {
  const left = 52;
  const right = width - 14;
  const top = 34;
  const bottom = width < 500 ? 270 : 320;
  const spread = extent(
    ranks.flatMap(({ loss, standardError }) => [loss - (standardError || 0), loss + (standardError || 0)]),
  )!;
  const baseLoss = base && Number.isFinite(base.loss) ? base.loss : null;
  const near = widened(spread, 1);
  const isFar = baseLoss !== null && (baseLoss < near[0] || baseLoss > near[1]);
  const isAbove = isFar && baseLoss > near[1];
  const domain = widened(
    baseLoss === null || isFar ? spread : [Math.min(spread[0], baseLoss), Math.max(spread[1], baseLoss)],
    0.24,
  );
  const inner: Interval = [bottom - (isFar && !isAbove ? STRIP : 0), top + (isAbove ? STRIP : 0)];
  const y = linearScale(domain, inner);
  const { ticks, decimals } = niceTicks(domain, 5);
  const logs = extent(ranks.map(({ rank }) => Math.log2(rank)))!;
  const x = linearScale(logs, [left + 28, right - 28]);
  return {
    left,
    right,
    top,
    bottom,
    y,
    ticks,
    tickDecimals: decimals,
    x: (rank) => x(Math.log2(rank)),
    baseY: baseLoss === null ? null : isFar ? (isAbove ? top + 10 : bottom - 10) : y(baseLoss),
    brokenAt: isFar ? (isAbove ? inner[1] - 8 : inner[0] + 8) : null,
  };
}

function markOf(row: RankRow, { x, y }: Frame): Mark {
  const error = Number.isFinite(row.standardError) ? row.standardError : 0;
  return {
    row,
    x: x(row.rank),
    y: y(row.loss),
    top: Math.min(y(row.loss + error), y(row.loss) - 5),
    bottom: Math.max(y(row.loss - error), y(row.loss) + 5),
  };
}

function yAxis({ left, right, top, bottom, y, ticks, tickDecimals, brokenAt }: Frame): Html {
  const lines = valueGrid({ left, right }, y, { ticks, decimals: tickDecimals });
  const stroke =
    brokenAt === null
      ? html`<path d="M${left} ${top}V${bottom}" />`
      : html`<path d="M${left} ${top}V${brokenAt - 3}M${left} ${brokenAt + 3}V${bottom}" /><path
            class="break"
            d="M${left - 6} ${brokenAt}l12 -6M${left - 6} ${brokenAt + 6}l12 -6"
          />`;
  return html`${lines}${stroke}<text class="title" x="4" y="16">held-out loss (nats per token)</text>`;
}

/**
 * Ranks under the axis: the named ones and both ends first, then powers of two, then as many others as there
 * is room for.
 */
function rankAxis({ left, right, bottom }: Frame, marks: readonly Mark[], marked: readonly Mark[]): Html {
  const shown: Mark[] = [];
  const free = (mark: Mark): boolean => shown.every(({ x }) => Math.abs(x - mark.x) >= 24);
  const powers = marks.filter(({ row }) => Number.isInteger(Math.log2(row.rank)));
  const others = marks.length > MOST_FULL_MARKS ? [] : marks;
  for (const mark of [...marked, marks[0], marks.at(-1)!, ...powers, ...others])
    if (free(mark)) shown.push(mark);
  const ticks = shown.map(
    ({ x, row }) =>
      html`<path d="M${x} ${bottom}v5" /><text x="${x}" y="${bottom + 20}" text-anchor="middle"
          >${String(row.rank)}</text
        >`,
  );
  return html`<path d="M${left} ${bottom}H${right}" />${ticks}<text
      class="title"
      x="${(left + right) / 2}"
      y="${bottom + 40}"
      text-anchor="middle"
      >rank of the adapter</text
    >`;
}

function baseLine(
  { report: { base }, decimals }: RankReading,
  { left, right, baseY, ...frame }: Frame,
  marks: readonly Mark[],
): Html | null {
  if (!base || baseY === null) return null;
  const loss = lossText(base.loss, decimals);
  const text = `base without adapter: ${loss} ${errorText(base.standardError, decimals)}`.trim();
  const width = textWidth(text, FONT);
  const boxes = [baseY - 19, baseY + 5].flatMap((top) =>
    [right - width, left + 8].map((start) => ({ left: start, right: start + width, top, bottom: top + 15 })),
  );
  const box = placeLabel(
    frame.brokenAt === null ? boxes : [baseY < frame.brokenAt ? boxes[2] : boxes[0]],
    obstacles(marks),
    { left, right, ...frame },
  );
  return html`<g class="base"
    ><path d="M${left} ${baseY}H${right}" /><text x="${box.left}" y="${box.bottom - 3}">${text}</text></g
  >`;
}

const pathThrough = (marks: readonly Mark[]): Html =>
  html`${marks.map(({ x, y }, i) => html`${i === 0 ? 'M' : 'L'}${x} ${y}`)}`;

function rankMark(
  { row, x, y, top, bottom }: Mark,
  verdict: ReturnType<RankReading['verdictOf']>,
  decimals: number,
  radius: number,
): Html {
  const bar = Number.isFinite(row.standardError)
    ? html`<path
        d="M${x} ${top}V${bottom}${radius < 5 ? null : html`M${x - 4} ${top}h8M${x - 4} ${bottom}h8`}"
      />`
    : null;
  const loss = `${lossText(row.loss, decimals)} ${errorText(row.standardError, decimals)}`;
  const title = `rank ${row.rank}: ${loss} ${VERDICT_TEXT[verdict]}`.trim();
  return html`<g class="mark ${verdict}"
    ><title>${title}</title>${bar}<circle cx="${x}" cy="${y}" r="${radius}" /><circle
      class="target"
      cx="${x}"
      cy="${y}"
      r="${radius * 2.5}"
  /></g>`;
}

/** What a label must not cover: the error bars and the line between the points. */
function obstacles(marks: readonly Mark[]): Box[] {
  const bars = marks.map(({ x, top, bottom }) => ({
    left: x - 7,
    right: x + 7,
    top: top - 2,
    bottom: bottom + 2,
  }));
  const line = marks.slice(1).flatMap((to, i) =>
    Array.from({ length: 9 }, (_, k) => {
      const from = marks[i];
      const share = (k + 0.5) / 9;
      const x = from.x + (to.x - from.x) * share;
      const y = from.y + (to.y - from.y) * share;
      return { left: x - 5, right: x + 5, top: y - 3, bottom: y + 3 };
    }),
  );
  return [...bars, ...line];
}

/** Names of the marked points. The best comes first: it is the lowest, so there is room below it. */
function labels(
  marked: readonly Mark[],
  marks: readonly Mark[],
  frame: Frame,
  { best, decimals }: RankReading,
): Html[] {
  const taken = obstacles(marks);
  const { baseY } = frame;
  if (baseY !== null)
    taken.push({ left: frame.left, right: frame.right, top: baseY - 18, bottom: baseY + 18 });
  return [...marked]
    .sort((a, b) => Number(b.row === best) - Number(a.row === best))
    .map((mark) => {
      const { rank, loss, adapterBytes } = mark.row;
      const isBest = mark.row === best;
      const lines = [
        `rank ${rank}${marks.length === 1 ? '' : isBest ? ': best' : `: ${VERDICT_TEXT['smallest-good']}`}`,
        `${lossText(loss, decimals)}${adapterBytes === null ? '' : ` · ${byteSizeText(adapterBytes)}`}`,
      ];
      const size = { width: Math.max(...lines.map((line) => textWidth(line, FONT))), height: 32 };
      const box = placeLabel(boxesAround(mark, size, isBest ? 'below' : 'above'), taken, {
        ...frame,
        right: frame.right + 10,
      });
      const line = leader(mark, box);
      taken.push(box);
      return html`<g class="${marks.length === 1 ? 'only' : isBest ? 'best' : 'smallest-good'}"
        >${line && html`<path class="leader" d="M${mark.x} ${line[0]}V${line[1]}" />`}<text
          class="label"
          x="${box.left}"
          y="${box.top + 12}"
          ><tspan class="strong">${lines[0]}</tspan><tspan x="${box.left}" dy="16">${lines[1]}</tspan></text
        ></g
      >`;
    });
}
