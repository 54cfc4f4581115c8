import type { RankReport } from '@qdylora/eval';
import type { EvaluationRow } from '../../recipes/evaluate.ts';
import { byteSizeText } from '../../config/values/byte-size.ts';
import { errorText, lossText, perplexityText, signedText } from '../../report/number-text.ts';
import { decimalsOf } from '../../report/read-ranks.ts';
import type { Terminal } from '../terminal.ts';

type Side = 'left' | 'right';

/** Lines of a table whose columns are as wide as their widest cells. @param cells rows of equal length */
export function columns(
  cells: readonly (readonly string[])[],
  sides: readonly Side[],
  gap = '   ',
): string[] {
  const widths = sides.map((_, c) => Math.max(...cells.map((row) => [...row[c]].length)));
  const pad = (text: string, c: number): string => ' '.repeat(widths[c] - [...text].length);
  return cells.map((row) =>
    row
      .map((text, c) => (sides[c] === 'right' ? pad(text, c) + text : text + pad(text, c)))
      .join(gap)
      .trimEnd(),
  );
}

/** The part of a sweep that the table shows. */
export type RankTableData = Pick<RankReport, 'ranks' | 'base' | 'alpha'> & {
  readonly bestRank: number | null;
  readonly smallestGoodRank: number | null;
};

/** One line per rank: loss, difference from the base (* where it is significant), size, and which is best. */
export function rankTable(
  { ranks, base, alpha, bestRank, smallestGoodRank }: RankTableData,
  { paint }: Pick<Terminal, 'paint'>,
): string[] {
  const head = ['rank', 'held-out loss', 'vs base', 'adapter', ''];
  const decimals = decimalsOf(ranks);
  const rows = ranks.map(({ rank, loss, standardError, versusBase, adapterBytes }) => [
    String(rank),
    withError(loss, standardError, decimals),
    versusBase ? `${signedText(versusBase.mean, decimals)}${versusBase.pValue < alpha ? ' *' : '  '}` : '–',
    adapterBytes === null ? '–' : byteSizeText(adapterBytes),
    remark(rank, { best: bestRank, smallestGood: smallestGoodRank, isSmallest: rank === ranks[0].rank }),
  ]);
  const baseRow = base
    ? [['–', withError(base.loss, base.standardError, decimals), '', '', 'base, without adapter']]
    : [];
  const [first, ...others] = columns(
    [head, ...baseRow, ...rows],
    ['right', 'right', 'right', 'right', 'left'],
  );
  const isMarked = (line: string): boolean => line.includes('←');
  const legend = others.some((line) => line.includes(' *'))
    ? [paint('dim', `* differs significantly from the base (at ${alpha})`)]
    : [];
  return [
    paint('dim', first),
    ...others.map((line) => (isMarked(line) ? paint('bold', line) : line)),
    ...legend,
  ];
}

const withError = (loss: number, standardError: number, decimals = 3): string =>
  `${lossText(loss, decimals)} ${errorText(standardError, decimals)}`.trimEnd();

/** What is special about a rank; empty for most. `isSmallest`: there is no smaller rank. */
function remark(
  rank: number,
  {
    best,
    smallestGood,
    isSmallest,
  }: { best: number | null; smallestGood: number | null; isSmallest: boolean },
): string {
  if (rank === best)
    return best === smallestGood && !isSmallest ? '← best; smaller ranks are worse' : '← best';
  return rank === smallestGood ? '← smallest rank that is not significantly worse' : '';
}

/** The rows of a plain evaluation. */
export function evaluationTable(
  rows: readonly EvaluationRow[],
  { paint }: Pick<Terminal, 'paint'>,
): string[] {
  const isCompared = rows.some(({ versusBase }) => versusBase);
  const cells = rows.map(({ rank, loss, perplexity, tokens, standardError, versusBase }) => [
    rank === null ? 'model' : String(rank),
    withError(loss, standardError),
    perplexityText(perplexity),
    tokens.toLocaleString('en-US'),
    versusBase ? `${signedText(versusBase.mean)} ${errorText(versusBase.standardError)}`.trimEnd() : '',
  ]);
  const head = ['rank', 'loss', 'perplexity', 'tokens', isCompared ? 'vs model' : ''];
  const [first, ...others] = columns([head, ...cells], ['right', 'right', 'right', 'right', 'right']);
  return [paint('dim', first), ...others];
}
