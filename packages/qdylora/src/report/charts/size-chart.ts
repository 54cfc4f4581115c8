import { byteSizeText } from '../../config/values/byte-size.ts';
import { html, type Html } from '../html.ts';
import type { RankReading } from '../read-ranks.ts';
import { linearScale } from './scale.ts';

/** More bars than this say nothing new: the size is proportional to the rank. */
const MOST_BARS = 12;
const ROW = 26;

/** Bytes of the adapter at each rank as bars on one linear scale; null where they are not known. */
export function sizeChart(reading: RankReading, width: number): Html | null {
  const rows = barRows(reading);
  const largest = Math.max(...rows.map(({ bytes }) => bytes));
  if (rows.length === 0 || !(largest > 0)) return null;
  const left = 40;
  const length = linearScale([0, largest], [0, width - left - 70]);
  const height = 34 + rows.length * ROW;
  return html`<svg
    viewBox="0 0 ${width} ${height}"
    width="${width}"
    height="${height}"
    role="img"
    aria-label="Size of the adapter at each rank; the table has the figures"
  >
    <g class="axis"><text class="title" x="4" y="16">adapter size by rank</text></g>
    ${rows.map(({ rank, bytes, verdict }, i) => {
      const y = 34 + i * ROW;
      return html`<g class="bar ${verdict}"
        ><text x="${left - 10}" y="${y + 13}" text-anchor="end">${String(rank)}</text
        ><rect x="${left}" y="${y}" width="${Math.max(1.5, length(bytes))}" height="17" rx="2" /><text
          x="${left + length(bytes) + 8}"
          y="${y + 13}"
          >${byteSizeText(bytes)}</text
        ></g
      >`;
    })}
  </svg>`;
}

function barRows({
  report,
  best,
  good,
  verdictOf,
}: RankReading): { readonly rank: number; readonly bytes: number; readonly verdict: string }[] {
  const rows = report.ranks.filter(({ adapterBytes }) => adapterBytes !== null);
  const isPower = (rank: number): boolean => Number.isInteger(Math.log2(rank));
  const shown =
    rows.length <= MOST_BARS
      ? rows
      : rows.filter((row) => row === best || row === good || isPower(row.rank) || row === rows.at(-1));
  return shown.map((row) => ({ rank: row.rank, bytes: row.adapterBytes!, verdict: verdictOf(row) }));
}
