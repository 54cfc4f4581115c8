import { readFileSync } from 'node:fs';
import { camelCased } from '../workbench/camel-cased.ts';
import { byteSizeText, CHART_STYLE, rankChart, readRanks, REPORT_COLOURS } from '../app-sources.ts';

/** One point of the curve, for the line below it. */
interface CurvePoint {
  readonly rank: number;
  readonly text: string;
}

/** The rank curve of the demo's run, drawn by the code of `report.html`. */
export function rankCurve(): string {
  const file = new URL('../public/demo/report.json', import.meta.url);
  const report = camelCased(JSON.parse(readFileSync(file, 'utf8'))) as Parameters<typeof readRanks>[0];
  const reading = readRanks(report)!;
  const points = report!.ranks.map(({ rank, loss, standardError, adapterBytes }): CurvePoint => ({
    rank,
    text:
      `rank ${rank}: held-out loss ${loss.toFixed(3)} ± ${standardError.toFixed(3)}, ` +
      `an adapter of ${byteSizeText(adapterBytes!)}`,
  }));
  return JSON.stringify({ wide: rankChart(reading, 660).html, narrow: rankChart(reading, 330).html, points });
}

const variables = (colours: Readonly<Record<string, string>>): string =>
  Object.entries(colours)
    .map(([name, colour]) => `--${name}:${colour};`)
    .join('');

/** Colours and charts of `report.html` for the theme of the site. Paper is white, as there. */
export const reportStyle = (): string =>
  `:root{${variables(REPORT_COLOURS.light)}}\n` +
  `@media screen{.dark{${variables(REPORT_COLOURS.dark)}}}\n` +
  `.rank-curve{--mark:initial;${CHART_STYLE}}\n` +
  '.rank-curve .best{--mark:var(--best)}\n.rank-curve .smallest-good{--mark:var(--good)}\n';
