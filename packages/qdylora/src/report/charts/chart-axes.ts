import { html, type Html } from '../html.ts';
import { countText, lossText } from '../number-text.ts';
import type { Box } from './place-label.ts';
import { niceTicks, type Interval, type Scale } from './scale.ts';

/** A labelled place on the horizontal axis. */
export interface AxisMark {
  readonly value: number;
  readonly label: string;
}

/** The marks whose labels have `room` on the axis, in their order. */
export function marksWithRoom(marks: readonly AxisMark[], x: Scale, room: number): AxisMark[] {
  const shown: AxisMark[] = [];
  for (const mark of marks)
    if (shown.every(({ value }) => Math.abs(x(value) - x(mark.value)) >= room)) shown.push(mark);
  return shown;
}

export interface ChartAxes {
  readonly x: Scale;
  readonly y: Scale;
  /** Values from the bottom to the top. */
  readonly domain: Interval;
  /** `held-out loss (nats per token)` */
  readonly valueName: string;
  readonly marks: readonly AxisMark[];
  /** `step` */
  readonly markName: string;
}

/** The size of a drawing, and what it says to those who cannot see it. */
export interface ChartFrame {
  readonly width: number;
  readonly height: number;
  readonly label: string;
}

/** A drawing with both axes, and `content` over them. */
export const chartSvg = (
  { width, height, label }: ChartFrame,
  box: Box,
  axes: ChartAxes,
  content: Html,
): Html =>
  html`<svg
    viewBox="0 0 ${width} ${height}"
    width="${width}"
    height="${height}"
    role="img"
    aria-label="${label}"
  >
    <g class="axis">${chartAxes(box, axes)}</g>
    ${content}
  </svg>`;

/** Both axes of a chart, with a grid line for every tick of the value. */
export function chartAxes(box: Box, { x, y, domain, valueName, marks, markName }: ChartAxes): Html {
  const { left, right, bottom } = box;
  const under = marks.map(
    ({ value, label }) =>
      html`<path d="M${x(value)} ${bottom}v5" /><text x="${x(value)}" y="${bottom + 20}" text-anchor="middle"
          >${label}</text
        >`,
  );
  return html`${valueGrid(box, y, niceTicks(domain, 5))}<path d="M${left} ${bottom}H${right}" />${under}<text
      class="title"
      x="4"
      y="16"
      >${valueName}</text
    ><text class="title" x="${(left + right) / 2}" y="${bottom + 40}" text-anchor="middle"
      >${markName}</text
    >`;
}

/** A grid line and a label for every tick of the value. */
export const valueGrid = (
  { left, right }: Pick<Box, 'left' | 'right'>,
  y: Scale,
  { ticks, decimals }: { readonly ticks: readonly number[]; readonly decimals: number },
): readonly Html[] =>
  ticks.map(
    (tick) =>
      html`<path class="grid" d="M${left} ${y(tick)}H${right}" /><text
          x="${left - 8}"
          y="${y(tick) + 4}"
          text-anchor="end"
          >${lossText(tick, decimals)}</text
        >`,
  );

/** Whole steps to label, fewer on a narrow drawing. */
export const stepMarks = ({ left, right }: Box, steps: Interval): AxisMark[] =>
  niceTicks(steps, right - left < 400 ? 4 : 8)
    .ticks.filter(Number.isInteger)
    .map((value) => ({ value, label: countText(value) }));
