/** How matches of a pattern are treated: as separate pieces, removed, or merged with their neighbours. */
export type SplitBehavior = 'Isolated' | 'Removed' | 'MergedWithPrevious' | 'MergedWithNext' | 'Contiguous';

/**
 * A pattern whose matches are exactly the pieces of splitting at `pattern`: a match joins the piece before it
 * (or after it), unless that piece is a match itself; or consecutive matches are one piece. Nothing is left
 * over.
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
