import { html, type Html } from '../html.ts';
import { chartSvg, marksWithRoom, type AxisMark } from './chart-axes.ts';
import type { Box } from './place-label.ts';
import { extent, linearScale, widened, type Scale } from './scale.ts';

/** Losses of several rates after the same number of steps. */
export interface TuneCurve {
  /** `after 8 steps` */
  readonly name: string;
  readonly points: readonly { readonly learningRate: number; readonly loss: number }[];
}

export interface TuneChartData {
  readonly curves: readonly TuneCurve[];
  readonly chosen: number;
  /** `held-out loss` */
  readonly lossName: string;
}

/**
 * Loss over the logarithm of the learning rate: one line for each round, the last one highlighted, and the
 * chosen rate marked. Losses far above the others are left out. Null without a finite loss.
 */
export function tuneChart({ curves, chosen, lossName }: TuneChartData, width: number): Html | null {
  const points = curves.flatMap((curve) => curve.points);
  const rates = extent([...points.map(({ learningRate }) => Math.log2(learningRate)), Math.log2(chosen)]);
  const losses = extent(points.map(({ loss }) => loss));
  if (!rates || !losses) return null;
  const box: Box = { left: 52, right: width - 110, top: 34, bottom: width < 500 ? 230 : 300 };
  const domain = widened(losses, 0.06);
  const place = linearScale(widened(rates, 0.04), [box.left, box.right]);
  const x: Scale = (rate) => place(Math.log2(rate));
  const y = linearScale(domain, [box.bottom, box.top]);
  const height = box.bottom + 46;
  const atChosen = html`M${x(chosen)} ${box.top}V${box.bottom}`;
  return chartSvg(
    { width, height, label: `${lossName} over the learning rate` },
    box,
    {
      x,
      y,
      domain,
      valueName: `${lossName} (nats per token)`,
      marks: rateMarks(points, x),
      markName: 'learning rate',
    },
    html`<g class="evaluated best"><path d="${atChosen}" stroke-dasharray="4 4" /></g>
    ${curves.map((curve, i) => curveLine(curve, { x, y, right: box.right }, i === curves.length - 1))}`,
  );
}

/** Room of a label such as 1.3e-3, in the units of the drawing. */
const LABEL_WIDTH = 48;

/** The rates that were tried, as far as there is room for their labels. */
function rateMarks(points: readonly { readonly learningRate: number }[], x: Scale): AxisMark[] {
  const rates = points.map(({ learningRate }) => learningRate).sort((a, b) => a - b);
  const marks = rates.map((rate) => ({ value: rate, label: rateLabel(rate) }));
  return marksWithRoom(marks, x, LABEL_WIDTH);
}

const rateLabel = (rate: number): string => Number(rate.toPrecision(2)).toExponential();

function curveLine(
  { name, points }: TuneCurve,
  { x, y, right }: { readonly x: Scale; readonly y: Scale; readonly right: number },
  isLast: boolean,
): Html {
  const finite = points.filter(({ loss }) => Number.isFinite(loss));
  const end = finite.at(-1);
  const path = finite.map(
    ({ learningRate, loss }, i) => html`${i > 0 ? 'L' : 'M'}${x(learningRate)} ${y(loss)}`,
  );
  const label = end
    ? html`<text
        class="label ${isLast ? 'strong' : ''}"
        x="${Math.min(x(end.learningRate) + 6, right + 4)}"
        y="${y(end.loss) + 4}"
        >${name}</text
      >`
    : null;
  return html`<g class="evaluated ${isLast ? 'best' : ''}"
    ><path d="${path}" />${finite.map(
      ({ learningRate, loss }) => html`<circle cx="${x(learningRate)}" cy="${y(loss)}" r="3" />`,
    )}${label}</g
  >`;
}
