/** What becomes of the matches of a pattern: pieces of their own, or none, or parts of their neighbours. */
export type SplitBehavior = 'Isolated' | 'Removed' | 'MergedWithPrevious' | 'MergedWithNext' | 'Contiguous';

/**
 * A pattern whose matches are all the pieces that splitting at `pattern` gives: a match joins the piece
 * before it (after it), unless that is a match itself; or matches in a row are one piece.
 * Of the pieces nothing is left over.
 */
export function mergedPattern(
  { Regex: regex, String: text }: { readonly Regex?: string; readonly String?: string },
  behavior: SplitBehavior,
): string {
  const escaped = (text ?? '').replace(/[.*+?^${}()|[\]\\/-]/g, '\\$&');
  const match = `(?:${regex ?? escaped})`;
  const other =
    text !== undefined && Array.from(text).length === 1 ? `[^${escaped}]` : `(?:(?!${match})[\\s\\S])`;
  switch (behavior) {
    case 'MergedWithPrevious':
      return `${other}+${match}?|${match}`;
    case 'MergedWithNext':
      return `${match}?${other}+|${match}`;
    case 'Contiguous':
      return `${other}+|${match}+`;
    case 'Isolated':
    case 'Removed':
      return match;
  }
}
