import type { ArrayView } from '@qdylora/contract';
import type { RankPart } from '@qdylora/lora-dynamic';
import { elementwiseGrid } from '../../launch/elementwise-grid.ts';
import { f32, i32, input, output, u64, type CudaDoor } from '../../launch/launch.ts';

/** Columns low … high − 1 of some rows, times a factor. */
export interface ScaledRanks {
  readonly low: number;
  readonly high: number;
  readonly factor: number;
}

/** All rows at rank r, with gradients from `trainFrom` on. */
export const onePart = (tokens: number, r: number, trainFrom = 0): readonly RankPart[] => [
  { until: tokens, rank: r, trainFrom, factor: 1 },
];

/**
 * Launches y = columns `from` … of x, scaled and cut as `rule` says for each part of the rows.
 *
 * x: [tokens, r]   y: [tokens, width]; may be the array of x where width = r
 */
export function scaleRanks(
  { launch }: CudaDoor,
  x: ArrayView<'f32'>,
  y: ArrayView<'f32'>,
  {
    parts,
    from = 0,
    rule,
  }: {
    readonly parts: readonly RankPart[];
    readonly from?: number;
    readonly rule: (part: RankPart) => ScaledRanks;
  },
): void {
  const r = x.shape[1];
  const width = y.shape[1];
  let begin = 0;
  for (const part of parts) {
    const n = (part.until - begin) * width;
    const { low, high, factor } = rule(part);
    launch({
      module: 'adapted-linear',
      kernel: 'scaleRanks',
      ...elementwiseGrid(n, 1),
      arguments: [
        input(x),
        output(y),
        u64(begin),
        u64(n),
        i32(r),
        i32(width),
        i32(from),
        i32(low),
        i32(high),
        f32(factor),
      ],
    });
    begin = part.until;
  }
}
