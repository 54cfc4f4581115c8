import { html, type Html } from '../html.ts';
import { lossText } from '../number-text.ts';
import type { ReportStep } from '../report-data.ts';
import { chartSvg, stepMarks } from './chart-axes.ts';
import type { Box } from './place-label.ts';
import { rankStrip, rankStripHeight } from './rank-strip.ts';
import { extent, linearScale, widened, type Interval, type Scale } from './scale.ts';
import { smoothingWindow, smoothLosses } from './smooth-losses.ts';

interface Point {
  readonly x: number;
  readonly y: number;
}

/**
 * Loss of every step (thin), its running mean (thick, labelled at its end), and below it the ranks
 * trained in each step. Null without a finite loss.
 */
export function trainingChart(steps: readonly ReportStep[], width: number): Html | null {
  const losses = steps.map(({ loss }) => loss);
  const span = extent(losses);
  if (!span) return null;
  const window = smoothingWindow(steps.length);
  const smooth = smoothLosses(losses, window);
  const domain = lossDomain(losses);
  const box: Box = {
    left: 52,
    right: width - (width < 500 ? 46 : 64),
    top: 34,
    bottom: width < 500 ? 214 : 250,
  };
  const first = steps[0].step;
  const last = steps.at(-1)!.step;
  const x = linearScale([first, last], [box.left + 6, box.right - 4]);
  const y = linearScale(domain, [box.bottom, box.top]);
  const clamped = (loss: number): number => y(Math.min(domain[1], Math.max(domain[0], loss)));
  const points = (values: readonly number[]): Point[] =>
    values.map((value, i) => ({ x: x(steps[i].step), y: Number.isFinite(value) ? clamped(value) : NaN }));
  const stripTop = box.bottom + 62;
  const height = stripTop + rankStripHeight(steps);
  return chartSvg(
    { width, height, label: 'Training loss over the steps' },
    box,
    {
      x,
      y,
      domain,
      valueName: 'training loss (nats per token)',
      marks: stepMarks(box, [first, last]),
      markName: 'step',
    },
    html`${lines(points(losses), window > 1 ? points(smooth) : [], box)}
    ${endLabel(window > 1 ? smooth : losses, steps.length === 1 ? x(first) + 8 : box.right + 4, clamped)}
    ${rankStrip(steps, { ...box, top: stripTop }, x)}`,
  );
}

/** All losses except a few outliers that would flatten the others. */
function lossDomain(losses: readonly number[]): Interval {
  const sorted = losses.filter(Number.isFinite).sort((a, b) => a - b);
  const at = (share: number): number => sorted[Math.round(share * (sorted.length - 1))];
  const ceiling = at(0.98) + 0.5 * (at(0.98) - at(0.02));
  const [from, to] = extent(sorted)!;
  return widened([from, sorted.length >= 50 ? Math.min(to, ceiling) : to], 0.06);
}

function lines(raw: readonly Point[], smooth: readonly Point[], { left, right }: Box): Html {
  const isDense = raw.length > (right - left) / 3;
  const only = smooth.length === 0;
  const dots =
    only || !isDense
      ? finite(raw).map(
          ({ x, y }) => html`<circle class="dot" cx="${x}" cy="${y}" r="${only ? 3.5 : 1.6}" />`,
        )
      : [];
  return html`<g class="${only ? 'alone' : 'each'}"
      ><path class="raw" d="${pathOf(thinned(raw, right - left))}" />${dots}</g
    >${only ? null : html`<path class="smooth" d="${pathOf(thinned(smooth, right - left))}" />`}`;
}

const finite = (points: readonly Point[]): Point[] => points.filter(({ y }) => Number.isFinite(y));

/**
 * The lowest and the highest point of every pixel: the same picture of a long run from few points.
 *
 * @param points in the order of x
 */
function thinned(points: readonly Point[], pixels: number): readonly Point[] {
  if (points.length <= 2 * pixels) return points;
  const columns = new Map<number, Point[]>();
  for (const point of finite(points)) {
    const column = columns.get(Math.round(point.x));
    if (column) column.push(point);
    else columns.set(Math.round(point.x), [point]);
  }
  return [...columns.values()].flatMap((column) => {
    const byHeight = [...column].sort((a, b) => a.y - b.y);
    const ends = [byHeight[0], byHeight.at(-1)!];
    return (ends[0] === ends[1] ? [ends[0]] : ends).sort((a, b) => a.x - b.x);
  });
}

/** A line with a gap where a value is missing. */
function pathOf(points: readonly Point[]): Html {
  const place = ({ x, y }: Point, i: number): Html | null => {
    if (!Number.isFinite(y)) return null;
    const isContinued = i > 0 && Number.isFinite(points[i - 1].y);
    return html`${isContinued ? 'L' : 'M'}${x} ${y}`;
  };
  return html`${points.map(place)}`;
}

function endLabel(values: readonly number[], x: number, y: Scale): Html | null {
  const last = values.findLast(Number.isFinite);
  if (last === undefined) return null;
  return html`<text class="label strong" x="${x}" y="${y(last) + 4}">${lossText(last)}</text>`;
}
