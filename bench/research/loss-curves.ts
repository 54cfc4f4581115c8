/** A line or single points of the picture. */
export interface LossCurve {
  readonly name: string;
  readonly isPoint: boolean;
  /** Held-out loss by rank. */
  readonly losses: Readonly<Record<string, number>>;
}

const WIDTH = 760;
const ROW = 20;
const PLOT = { left: 64, right: WIDTH - 24, top: 28, bottom: 380 };
const COLOURS = ['#0a5fb4', '#a84300', '#2b7a2b', '#7a2b7a', '#8a6d00', '#444c56', '#b0305f', '#00707a'];

/** An SVG of the held-out loss over log2 of the rank: a line per nested run, circles for a dedicated one. */
export function lossCurves(curves: readonly LossCurve[]): string {
  const losses = curves.flatMap((curve) => Object.values(curve.losses));
  const ranks = [...new Set(curves.flatMap((curve) => Object.keys(curve.losses).map(Number)))].sort(
    (left, right) => left - right,
  );
  const low = Math.min(...losses);
  const high = Math.max(...losses);
  const x = (rank: number): number =>
    PLOT.left + (Math.log2(rank) / Math.log2(Math.max(...ranks, 2))) * (PLOT.right - PLOT.left);
  const y = (loss: number): number =>
    PLOT.bottom - ((loss - low) / (high - low || 1)) * (PLOT.bottom - PLOT.top);
  const legendTop = PLOT.bottom + 48;
  const height = legendTop + curves.length * ROW + 12;
  const colourOf = (i: number): string => COLOURS[i % COLOURS.length];
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" ` +
      `font-family="sans-serif" font-size="13">`,
    `<rect width="${WIDTH}" height="${height}" fill="#fff"/>`,
    ...gridLines(low, high).map((loss) => gridLine(loss.toFixed(2), y(loss))),
    ...ranks.map(
      (rank) =>
        `<text x="${at(x(rank))}" y="${PLOT.bottom + 20}" text-anchor="middle" fill="#57606c">${rank}</text>`,
    ),
    ...curves.map((curve, i) => shapeOf(curve, { x, y, colour: colourOf(i) })),
    ...curves.map(
      ({ name }, i) =>
        `<text x="${PLOT.left}" y="${legendTop + i * ROW}" fill="${colourOf(i)}">${name}</text>`,
    ),
    '</svg>',
    '',
  ].join('\n');
}

const at = (pixels: number): string => String(Math.round(pixels * 10) / 10);

function gridLine(label: string, height: number): string {
  const y = at(height);
  return (
    `<line x1="${PLOT.left}" x2="${PLOT.right}" y1="${y}" y2="${y}" stroke="#e3e7ec"/>` +
    `<text x="${PLOT.left - 8}" y="${at(height + 4)}" text-anchor="end" fill="#57606c">${label}</text>`
  );
}

/** Round numbers within the range, about five of them. */
function gridLines(low: number, high: number): number[] {
  const step = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1].find((size) => (high - low) / size <= 6) ?? 2;
  const first = Math.ceil(low / step);
  return Array.from({ length: Math.floor(high / step) - first + 1 }, (_, i) => (first + i) * step);
}

interface Scales {
  readonly x: (rank: number) => number;
  readonly y: (loss: number) => number;
  readonly colour: string;
}

function shapeOf({ losses, isPoint }: LossCurve, { x, y, colour }: Scales): string {
  const points = Object.entries(losses).map(([rank, loss]) => [at(x(Number(rank))), at(y(loss))] as const);
  if (isPoint)
    return points
      .map(
        ([cx, cy]) => `<circle cx="${cx}" cy="${cy}" r="6" fill="none" stroke="${colour}" stroke-width="2"/>`,
      )
      .join('');
  const line = points.map(([px, py]) => `${px},${py}`).join(' ');
  return `<polyline points="${line}" fill="none" stroke="${colour}" stroke-width="2"/>`;
}
