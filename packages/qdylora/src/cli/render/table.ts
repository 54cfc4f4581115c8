import type { RankReport } from '@qdylora/eval';
import type { EvaluationRow } from '../../recipes/evaluate.ts';
import { byteSizeText } from '../../config/byte-size.ts';
import { errorText, lossText, perplexityText, signedText } from '../../report/number-text.ts';
import type { Terminal } from '../terminal.ts';

type Side = 'left' | 'right';

/** Columns side by side, each as wide as its widest cell.  cells: rows of the same length */
export function columns(
  cells: readonly (readonly string[])[],
  sides: readonly Side[],
  gap = '   ',
): string[] {
  const widths = sides.map((_, c) => Math.max(...cells.map((row) => [...row[c]!].length)));
  const pad = (text: string, c: number): string => ' '.repeat(widths[c]! - [...text].length);
  return cells.map((row) =>
    row
      .map((text, c) => (sides[c] === 'right' ? pad(text, c) + text : text + pad(text, c)))
      .join(gap)
      .trimEnd(),
  );
}

/** The rows of a sweep that a table shows. */
export type RankTableData = Pick<RankReport, 'ranks' | 'base' | 'alpha'> & {
  readonly bestRank: number | null;
  readonly smallestGoodRank: number | null;
};

/** One line a rank: loss, gain over the base (* = more than chance), size, and which is best. */
export function rankTable(
  { ranks, base, alpha, bestRank, smallestGoodRank }: RankTableData,
  { paint }: Pick<Terminal, 'paint'>,
): string[] {
  const head = ['rank', 'held-out loss', 'vs base', 'adapter', ''];
  const rows = ranks.map(({ rank, loss, standardError, versusBase, adapterBytes }) => [
    String(rank),
    withError(loss, standardError),
    versusBase ? `${signedText(versusBase.mean)}${versusBase.pValue < alpha ? ' *' : '  '}` : '–',
    adapterBytes === null ? '–' : byteSizeText(adapterBytes),
    remark(rank, bestRank, smallestGoodRank),
  ]);
  const baseRow = base
    ? [['–', withError(base.loss, base.standardError), '', '', 'base, without adapter']]
    : [];
  const [first, ...others] = columns(
    [head, ...baseRow, ...rows],
    ['right', 'right', 'right', 'right', 'left'],
  );
  const isMarked = (line: string): boolean => line.includes('←');
  const legend = others.some((line) => line.includes(' *'))
    ? [paint('dim', '* = the held-out rows tell it from the base')]
    : [];
  return [
    paint('dim', first!),
    ...others.map((line) => (isMarked(line) ? paint('bold', line) : line)),
    ...legend,
  ];
}

const withError = (loss: number, standardError: number): string =>
  `${lossText(loss)} ${errorText(standardError)}`.trimEnd();

function remark(rank: number, best: number | null, smallestGood: number | null): string {
  if (rank === best && rank === smallestGood) return '← best, and the smallest that is';
  if (rank === best) return '← best';
  return rank === smallestGood ? '← smallest not worse than the best' : '';
}

/** The rows of a plain evaluation. */
export function evaluationTable(
  rows: readonly EvaluationRow[],
  { paint }: Pick<Terminal, 'paint'>,
): string[] {
  const cells = rows.map(({ rank, loss, perplexity, tokens, standardError }) => [
    rank === 0 ? 'base' : String(rank),
    withError(loss, standardError),
    perplexityText(perplexity),
    tokens.toLocaleString('en-US'),
  ]);
  const [first, ...others] = columns(
    [['rank', 'loss', 'perplexity', 'tokens'], ...cells],
    ['right', 'right', 'right', 'right'],
  );
  return [paint('dim', first!), ...others];
}
