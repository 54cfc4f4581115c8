import type { TokenWeight } from '@qdylora/data';
import type { RowPreview } from '../../recipes/preview-row.ts';
import type { Terminal } from '../terminal.ts';
import { visibleText } from './visible-text.ts';

/**
 * Background colours of neighbouring tokens, which alternate so that token boundaries are visible: greens for
 * tokens that the loss counts, greys for others. 256-colour codes.
 */
const GROUNDS = [
  [236, 240],
  [22, 28],
] as const;
const INK = [250, 231] as const;

/** A row in words, then its tokens. */
export function previewLines(
  preview: RowPreview,
  { hasColor, paint }: Pick<Terminal, 'hasColor' | 'paint'>,
): string[] {
  const { row, format, tokens, countedTokens, cutTokens, lostTokens, dropped, source } = preview;
  const cut =
    cutTokens > 0
      ? `, ${cutTokens} more cut off${lostTokens > 0 ? ` (${lostTokens} of them answer)` : ''}`
      : '';
  const marks = hasColor ? ' (green)' : ' (in ⟦ ⟧)';
  const place = source ? ` · ${visibleText(source)}` : '';
  return [
    paint(
      'dim',
      `row ${row}, ${format}: ${tokens.length} tokens, ` +
        `the loss counts ${countedTokens}${marks}${cut}${place}`,
    ),
    ...(dropped ? [paint('yellow', `left out of training: ${dropped}`)] : []),
    hasColor ? shaded(tokens) : bracketed(tokens),
  ];
}

/**
 * Each token on a background of its own. A newline is shown as a sign and also breaks the line; no background
 * reaches the edge of the terminal.
 */
const shaded = (tokens: readonly TokenWeight[]): string =>
  tokens
    .map(({ text, weight }, t) => {
      const open = `\x1b[48;5;${GROUNDS[weight][t % 2]};38;5;${INK[weight]}m`;
      return `${open}${visibleText(text === '' ? '·' : text).replaceAll('\n', `↵\x1b[0m\n${open}`)}\x1b[0m`;
    })
    .join('');

/**
 * Without colours: brackets around neighbouring tokens that count. Without a tokenizer: ids with spaces
 * between.
 */
function bracketed(tokens: readonly TokenWeight[]): string {
  let text = '';
  tokens.forEach((token, t) => {
    const before = tokens[t - 1]?.weight ?? 0;
    const next = tokens[t + 1]?.weight ?? 0;
    const isNumber = token.text === String(token.id);
    const space = isNumber && t > 0 ? ' ' : '';
    const open = token.weight === 1 && before === 0 ? '⟦' : '';
    const close = token.weight === 1 && next === 0 ? '⟧' : '';
    text += `${open}${space}${visibleText(token.text)}${close}`;
  });
  return text;
}
