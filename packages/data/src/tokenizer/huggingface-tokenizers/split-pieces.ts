/** How matches of a pattern are treated: as separate pieces, removed, or merged with their neighbours. */
export type SplitBehavior = 'Isolated' | 'Removed' | 'MergedWithPrevious' | 'MergedWithNext' | 'Contiguous';

export interface SplitRule {
  readonly behavior: SplitBehavior;
  /** True: the text between matches is treated as the match. */
  readonly invert: boolean;
}

interface Segment {
  readonly text: string;
  readonly isMatch: boolean;
}

/** Whether two neighbouring segments are one piece, by behavior. */
const ARE_JOINED: Readonly<Record<SplitBehavior, (left: Segment, right: Segment) => boolean>> = {
  Isolated: () => false,
  Removed: () => false,
  MergedWithPrevious: (left, right) => !left.isMatch && right.isMatch,
  MergedWithNext: (left, right) => left.isMatch && !right.isMatch,
  Contiguous: (left, right) => left.isMatch === right.isMatch,
};

/** The pieces of a text that is split at a global pattern, as in the Rust library. */
export function splitPieces(text: string, pattern: RegExp, { behavior, invert }: SplitRule): string[] {
  const segments = segmentsOf(text, pattern, invert);
  if (behavior === 'Removed') return segments.flatMap(({ text: kept, isMatch }) => (isMatch ? [] : [kept]));
  const pieces: string[] = [];
  segments.forEach((segment, i) => {
    if (i > 0 && ARE_JOINED[behavior](segments[i - 1], segment)) pieces[pieces.length - 1] += segment.text;
    else pieces.push(segment.text);
  });
  return pieces;
}

/** The matches and the text between them, in order, without empty ones. */
function segmentsOf(text: string, pattern: RegExp, invert: boolean): Segment[] {
  const segments: Segment[] = [];
  const add = (from: number, to: number, isMatch: boolean): void => {
    if (to > from) segments.push({ text: text.slice(from, to), isMatch });
  };
  let at = 0;
  for (const { 0: match, index } of text.matchAll(pattern)) {
    add(at, index, invert);
    at = index + match.length;
    add(index, at, !invert);
  }
  add(at, text.length, invert);
  return segments;
}
