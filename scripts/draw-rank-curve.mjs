// Draws the rank curve of a run's report.json as an SVG for the README: held-out loss over log2 of the rank,
// with one standard error up and down, the model without an adapter, the best rank and the smallest good one.
//
//     node scripts/draw-rank-curve.mjs runs/demo/report.json docs/rank-curve.svg
import { readFileSync, writeFileSync } from 'node:fs';

const WIDTH = 760;
const HEIGHT = 360;
const PLOT = { left: 64, right: WIDTH - 24, top: 72, bottom: HEIGHT - 56 };

const LIGHT = {
  ground: '#fff',
  frame: '#d5dae1',
  ink: '#1a1f26',
  quiet: '#57606c',
  grid: '#eaedf1',
  line: '#8b95a3',
  best: '#a84300',
  good: '#0a5fb4',
};
const DARK = {
  ground: '#12161c',
  frame: '#343d49',
  ink: '#e6eaf0',
  quiet: '#9aa5b3',
  grid: '#262d37',
  line: '#7d8896',
  best: '#ffa45c',
  good: '#74b5ff',
};

/** Colours by class; no CSS variables, which not every program that shows an SVG knows. */
const coloursOf = ({ ground, frame, ink, quiet, grid, line, best, good }) => `
  .ground { fill: ${ground}; stroke: ${frame}; }
  text { fill: ${quiet}; } .heading { fill: ${ink}; }
  .grid { stroke: ${grid}; } .axis, .curve, .bar { stroke: ${line}; } .base { stroke: ${quiet}; }
  circle { fill: ${line}; }
  .best circle, .best text { fill: ${best}; } .best .bar { stroke: ${best}; }
  .good circle, .good text { fill: ${good}; } .good .bar { stroke: ${good}; }`;

/** Its own ground and both colour schemes: a page may show the picture on a light or a dark background. */
const STYLE = `
  svg { font: 13px system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif; }
  .heading { font-size: 17px; } .heading, .strong { font-weight: 600; }
  .axis, .curve, .bar { fill: none; stroke-width: 1.5; } .base { stroke-dasharray: 5 4; }
  ${coloursOf(LIGHT)}
  @media (prefers-color-scheme: dark) {${coloursOf(DARK)} }`;

const escaped = (text) => text.replace(/[&<>]/g, (sign) => `&#${sign.charCodeAt(0)};`);
const at = (pixels) => String(Math.round(pixels * 10) / 10);
const megabytes = (bytes) => `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;

/** Steps of 1, 2 or 5 times a power of ten: about five of them within the range. */
function ticksWithin([low, high]) {
  const rough = (high - low) / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough);
  const decimals = Math.max(0, -Math.floor(Math.log10(step)));
  const first = Math.ceil(low / step);
  const count = Math.floor(high / step) - first + 1;
  return Array.from({ length: count }, (_, i) => ((first + i) * step).toFixed(decimals));
}

/** Height of the strip above the axis for a base whose loss would press all ranks flat. */
const STRIP = 44;

function scalesOf({ ranks, base }) {
  const losses = ranks.flatMap(({ loss, standard_error: error }) => [loss - error, loss + error]);
  const spread = Math.max(...losses) - Math.min(...losses) || 1;
  const isBaseFar = Boolean(base) && base.loss - Math.max(...losses) > spread / 2;
  if (base && !isBaseFar) losses.push(base.loss);
  // the label of the best rank is below its point
  const range = [Math.min(...losses) - spread * 0.4, Math.max(...losses) + spread * 0.2];
  const logs = ranks.map(({ rank }) => Math.log2(rank));
  const [first, last] = [Math.min(...logs), Math.max(...logs)];
  const [left, right] = [PLOT.left + 40, PLOT.right - 40];
  const top = PLOT.top + (isBaseFar ? STRIP : 0);
  return {
    range,
    top,
    isBaseFar,
    x: (rank) => left + ((Math.log2(rank) - first) / (last - first || 1)) * (right - left),
    y: (loss) => PLOT.bottom - ((loss - range[0]) / (range[1] - range[0])) * (PLOT.bottom - top),
  };
}

function axes({ range, x, y }, ranks) {
  const rows = ticksWithin(range).map(
    (tick) =>
      `<path class="grid" d="M${PLOT.left} ${at(y(Number(tick)))}H${PLOT.right}"/>` +
      `<text x="${PLOT.left - 10}" y="${at(y(Number(tick)) + 4)}" text-anchor="end">${tick}</text>`,
  );
  const columns = ranks.map(
    ({ rank }) => `<text x="${at(x(rank))}" y="${PLOT.bottom + 20}" text-anchor="middle">${rank}</text>`,
  );
  const middle = (PLOT.left + PLOT.right) / 2;
  return [
    ...rows,
    `<path class="axis" d="M${PLOT.left} ${PLOT.top}V${PLOT.bottom}H${PLOT.right}"/>`,
    ...columns,
    `<text x="${middle}" y="${PLOT.bottom + 42}" text-anchor="middle">rank of the adapter</text>`,
  ];
}

/** The loss without an adapter; where it is far above the ranks, in the strip behind a break of the axis. */
function baseLine({ y, top, isBaseFar }, base) {
  if (!base) return [];
  const line = isBaseFar ? PLOT.top + 20 : y(base.loss);
  const text = `without an adapter: ${base.loss.toFixed(2)}`;
  const left = PLOT.left - 6;
  const breakMark = `<path class="axis" d="M${left} ${top - 2}l12 -6M${left} ${top - 9}l12 -6"/>`;
  return [
    `<path class="base" d="M${PLOT.left} ${at(line)}H${PLOT.right}"/>`,
    `<text x="${PLOT.right}" y="${at(line - 7)}" text-anchor="end">${text}</text>`,
    ...(isBaseFar ? [breakMark] : []),
  ];
}

/** What a rank is called in the picture: its class, and a name where it is worth one. */
function roleOf(rank, { ranks, best_rank: best, smallest_good_rank: good }) {
  const isSmallest = rank === ranks[0].rank;
  if (rank === best)
    return { name: best === good && !isSmallest ? 'best; smaller ranks are worse' : 'best', group: 'best' };
  if (rank === good) return { name: 'smallest rank not significantly worse', group: 'good' };
  return { name: null, group: 'rank' };
}

/** One rank: its standard error, its point and its loss; the best and the smallest good one have a name. */
function point({ x, y }, report, row) {
  const { rank, loss, standard_error: error, adapter_bytes: bytes } = row;
  const { name, group } = roleOf(rank, report);
  const [left, top] = [x(rank), y(loss)];
  const [high, low] = [at(y(loss + error)), at(y(loss - error))];
  const isBest = group === 'best';
  const anchor = name === null ? 'middle' : left > WIDTH / 2 ? 'end' : 'start';
  const textX = at(left + { middle: 0, end: 34, start: -14 }[anchor]);
  const size = name !== null && bytes ? ` · ${megabytes(bytes)}` : '';
  const lossY = isBest ? y(loss - error) + 38 : y(loss + error) - 8;
  const nameY = lossY - 17;
  const texts = [
    `<text x="${textX}" y="${at(lossY)}" text-anchor="${anchor}">${loss.toFixed(2)}${size}</text>`,
    ...(name
      ? [`<text class="strong" x="${textX}" y="${at(nameY)}" text-anchor="${anchor}">${name}</text>`]
      : []),
  ];
  return (
    `<g class="${group}"><title>rank ${rank}: ${loss.toFixed(3)} ± ${error.toFixed(3)}</title>` +
    `<path class="bar" d="M${at(left)} ${high}V${low}M${at(left - 4)} ${high}h8M${at(left - 4)} ${low}h8"/>` +
    `<circle cx="${at(left)}" cy="${at(top)}" r="4"/>${texts.join('')}</g>`
  );
}

function draw(report) {
  const ranks = report.ranks.filter(({ loss }) => Number.isFinite(loss));
  const { base } = report;
  const scales = scalesOf({ ranks, base });
  const curve = ranks.map(({ rank, loss }) => `${at(scales.x(rank))} ${at(scales.y(loss))}`).join('L');
  const detail =
    `${ranks.length} adapters from one run of ${report.steps} steps; ` +
    `${report.held_out_examples} held-out examples, bars of one standard error`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" ` +
      `height="${HEIGHT}" role="img" aria-label="Held-out loss at each rank">`,
    `<style>${STYLE}\n</style>`,
    `<rect class="ground" x="0.5" y="0.5" width="${WIDTH - 1}" height="${HEIGHT - 1}" rx="8"/>`,
    `<text class="heading" x="20" y="30">Held-out loss at every rank (nats per token)</text>`,
    `<text x="20" y="51">${escaped(detail)}</text>`,
    ...axes(scales, ranks),
    ...baseLine(scales, base),
    `<path class="curve" d="M${curve}"/>`,
    ...ranks.map((row) => point(scales, report, row)),
    '</svg>\n',
  ].join('\n');
}

const [source, target] = process.argv.slice(2);
if (!source || !target) {
  console.error('Usage: node scripts/draw-rank-curve.mjs report.json picture.svg');
  process.exit(2);
}
const report = JSON.parse(readFileSync(source, 'utf8'));
if (!Array.isArray(report.ranks) || report.ranks.length === 0) {
  console.error(
    `${source} has no ranks: hold out rows (val_set_size or eval_dataset), so that they are judged.`,
  );
  process.exit(2);
}
writeFileSync(target, draw(report));
console.log(`${target}: ${report.ranks.length} ranks of ${source}`);
