import type { MeasuredLoss } from '@qdylora/eval';
import { byteSizeText } from '../../config/values/byte-size.ts';
import { html, type Html } from '../html.ts';
import { chartSvg, marksWithRoom, type AxisMark } from './chart-axes.ts';
import type { Box } from './place-label.ts';
import { extent, linearScale, widened, type Scale } from './scale.ts';

/** An adapter of some size. */
export interface SizedLoss extends Pick<MeasuredLoss, 'loss' | 'standardError'> {
  readonly bytes: number;
  /** Shown at its point, and when the pointer is on it. */
  readonly label: string;
  readonly title: string;
}

/** Adapters of one kind, rising in bytes. */
export interface SizeCurve {
  readonly name: string;
  readonly points: readonly SizedLoss[];
  /** Drawn over the others. */
  readonly isStrong: boolean;
}

/** Labels of the horizontal axis are at least so far apart. */
const LABEL_WIDTH = 66;
const LEGEND_LINE = 18;
const LEGEND_WIDTH = 190;

/**
 * Held-out loss over the logarithm of the adapter's bytes, one line for each way of cutting it. Null without
 * two finite losses.
 */
export function budgetChart(curves: readonly SizeCurve[], width: number): Html | null {
  const points = curves.flatMap((curve) => finitePoints(curve));
  const losses = extent(points.map(({ loss }) => loss));
  const sizes = extent(points.map(({ bytes }) => Math.log2(bytes)));
  if (!losses || !sizes || points.length < 2) return null;
  const box: Box = { left: 52, right: width - 14, top: 34, bottom: width < 500 ? 250 : 300 };
  const domain = widened(losses, 0.12);
  const place = linearScale(sizes, [box.left + 24, box.right - 34]);
  const x: Scale = (bytes) => place(Math.log2(bytes));
  const y = linearScale(domain, [box.bottom, box.top]);
  const height = box.bottom + 46;
  const rising = [...curves].sort((a, b) => Number(a.isStrong) - Number(b.isStrong));
  const marks = rising.map((curve) => curveMarks(curve, x, y));
  const legends = curves.map((curve, i) => legend(curve, box, i));
  return chartSvg(
    { width, height, label: 'Held-out loss over the bytes of the adapter; the tables have the figures' },
    box,
    {
      x,
      y,
      domain,
      valueName: 'held-out loss (nats per token)',
      marks: sizeMarks(points, x),
      markName: 'bytes of the adapter',
    },
    html`${marks} ${legends}`,
  );
}

const finitePoints = ({ points }: SizeCurve): SizedLoss[] =>
  points.filter(({ bytes, loss }) => Number.isFinite(loss) && bytes > 0);

/** The sizes of points, from the largest on, as far as there is room. */
export function sizeMarks(points: readonly { readonly bytes: number }[], x: Scale): AxisMark[] {
  const bySize = [...points].sort((a, b) => b.bytes - a.bytes);
  const marks = bySize.map(({ bytes }) => ({ value: bytes, label: byteSizeText(bytes) }));
  return marksWithRoom(marks, x, LABEL_WIDTH);
}

function curveMarks(curve: SizeCurve, x: Scale, y: Scale): Html {
  const places = finitePoints(curve).map((point) => ({ ...point, x: x(point.bytes), y: y(point.loss) }));
  const path = places.map((place, i) => html`${i > 0 ? 'L' : 'M'}${place.x} ${place.y}`);
  const marks = places.map(
    (place) =>
      html`<circle cx="${place.x}" cy="${place.y}" r="${curve.isStrong ? 4 : 3}"
          ><title>${place.title}</title></circle
        ><text class="label" x="${place.x}" y="${place.y - 10}" text-anchor="middle">${place.label}</text>`,
  );
  return html`<g class="evaluated ${curve.isStrong ? 'best' : ''}"><path d="${path}" />${marks}</g>`;
}

/** The name of a line, in the upper right: curves of losses fall to the right. */
function legend({ name, isStrong }: SizeCurve, { right, top }: Box, index: number): Html {
  const left = right - LEGEND_WIDTH;
  const y = top + 12 + index * LEGEND_LINE;
  return html`<g class="evaluated ${isStrong ? 'best' : ''}"
    ><path d="M${left + 10} ${y - 4}h22" /><circle cx="${left + 21}" cy="${y - 4}" r="3" /><text
      class="label"
      x="${left + 40}"
      y="${y}"
      >${name}</text
    ></g
  >`;
}
