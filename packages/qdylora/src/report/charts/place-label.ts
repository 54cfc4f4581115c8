export interface Box {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

/** Area that two boxes share. */
const overlap = (a: Box, b: Box): number =>
  Math.max(0, Math.min(a.right, b.right) - Math.max(a.left, b.left)) *
  Math.max(0, Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top));

const area = ({ left, top, right, bottom }: Box): number => (right - left) * (bottom - top);

/**
 * The first candidate that covers no obstacle and stays inside the frame; otherwise the one with the smallest
 * overlap.
 */
export function placeLabel(candidates: readonly Box[], obstacles: readonly Box[], frame: Box): Box {
  const costs = candidates.map(
    (box) =>
      obstacles.reduce((sum, obstacle) => sum + overlap(box, obstacle), 0) +
      4 * (area(box) - overlap(box, frame)),
  );
  return candidates[costs.indexOf(Math.min(...costs))];
}

export interface Anchor {
  readonly x: number;
  readonly top: number;
  readonly bottom: number;
}

/** Gaps between a point and its name: close by first, then farther away, with a line. */
const GAPS = [6, 26, 46, 66] as const;

/**
 * Boxes for a text above or below a point, in order of preference: near ones first; starting, centred or
 * ending at the point.
 */
export function boxesAround(
  { x, top, bottom }: Anchor,
  { width, height }: { readonly width: number; readonly height: number },
  prefers: 'above' | 'below',
): Box[] {
  const lefts = [x - 8, x - width / 2, x + 8 - width];
  return GAPS.flatMap((gap) => {
    const above = top - gap - height;
    const below = bottom + gap;
    return (prefers === 'above' ? [above, below] : [below, above]).flatMap((y) =>
      lefts.map((left) => ({ left, top: y, right: left + width, bottom: y + height })),
    );
  });
}

/** Where a line from the point to its box starts and ends; null where the box is next to the point. */
export function leader({ top, bottom }: Anchor, box: Box): readonly [from: number, to: number] | null {
  if (box.bottom < top - GAPS[0] - 1) return [top - 3, box.bottom + 2];
  return box.top > bottom + GAPS[0] + 1 ? [bottom + 3, box.top - 2] : null;
}

/** Width of a text in a font of this size: letters of common sans-serif fonts are about 0.56 em wide. */
export const textWidth = (text: string, fontSize: number): number => text.length * fontSize * 0.56;
