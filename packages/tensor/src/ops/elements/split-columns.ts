import {
  hostData,
  assertShape,
  badArgument,
  defineOp,
  f32Array,
  optional,
  type ArraySpec,
  type ArrayView,
  type FloatView,
} from '@qdylora/contract';
import type { DifferentiableOp } from '../../autograd/differentiable-op.ts';

type F32 = ArrayView<'f32'>;

/** A row consists of `groups` groups of two or three parts. `widths`: columns of each part. */
export interface SplitAttributes {
  readonly groups: number;
  readonly widths: readonly [number, number] | readonly [number, number, number];
}

/**
 * Splits a fused projection: part i of every group goes to output i, group after group. With one group the
 * parts are side by side (Phi-3, GPT-2). With more, each group of heads has its queries, its key and its
 * value (Falcon, GPT-NeoX).
 *
 * x: [tokens, groups · Σ widths]   →   first, second, third: [tokens, groups · its width]
 */
export const splitColumns = defineOp({
  name: 'split-columns',
  takes: { x: f32Array(2) },
  shapes(
    i: { x: FloatView },
    { groups, widths }: SplitAttributes,
  ): { first: ArraySpec; second: ArraySpec; third: ArraySpec | undefined } {
    assertWidths('split-columns', groups, widths);
    assertShape('split-columns', 'x', i.x.shape, [-1, groups * rowWidth(widths)]);
    const part = (width: number): ArraySpec => ({ dtype: 'f32', shape: [i.x.shape[0], groups * width] });
    return {
      first: part(widths[0]),
      second: part(widths[1]),
      third: widths.length === 3 ? part(widths[2]) : undefined,
    };
  },
  reference({ x }, parts: { first: F32; second: F32; third?: F32 }, attributes) {
    const xData = hostData(x);
    const partData = dataOfParts(parts);
    forEachRun(x.shape[0], attributes, (part, at, from, width) => {
      for (let j = 0; j < width; j++) partData[part]![at + j] = xData[from + j];
    });
  },
});

/**
 * The inverse of `split-columns`, and so its gradient. A missing part counts as zeros.
 *
 * first, second, third: [tokens, groups · its width]   →   x: [tokens, groups · Σ widths]
 */
export const joinColumns = defineOp({
  name: 'join-columns',
  takes: { first: optional(f32Array(2)), second: optional(f32Array(2)), third: optional(f32Array(2)) },
  shapes(
    i: { first?: F32 | undefined; second?: F32 | undefined; third?: F32 | undefined },
    { groups, widths, tokens }: SplitAttributes & { readonly tokens: number },
  ): { x: ArraySpec } {
    assertWidths('join-columns', groups, widths);
    if (!isCount(tokens)) throw badArgument('join-columns', `tokens must be a whole number (got ${tokens})`);
    PARTS.forEach((name, p) => {
      if (i[name]) assertShape('join-columns', name, i[name].shape, [tokens, groups * (widths[p] ?? 0)]);
    });
    return { x: { dtype: 'f32', shape: [tokens, groups * rowWidth(widths)] } };
  },
  reference(parts, { x }: { x: F32 }, attributes) {
    const xData = hostData(x);
    const partData = dataOfParts(parts);
    forEachRun(attributes.tokens, attributes, (part, at, to, width) => {
      for (let j = 0; j < width; j++) xData[to + j] = partData[part]?.[at + j] ?? 0;
    });
  },
});

type Parts = { readonly [K in (typeof PARTS)[number]]?: F32 | undefined };

const dataOfParts = ({ first, second, third }: Parts) => ({
  first: first && hostData(first),
  second: second && hostData(second),
  third: third && hostData(third),
});

const isCount = (value: number): boolean => Number.isInteger(value) && value >= 0 && value <= 2 ** 31;

function assertWidths(where: string, groups: number, widths: readonly number[]): void {
  if (!(isCount(groups) && widths.every(isCount)))
    throw badArgument(
      where,
      `groups and widths must be whole numbers (got ${groups} and ${widths.join(', ')})`,
    );
  if (!(widths.length === 2 || widths.length === 3))
    throw badArgument(where, `there must be two or three widths (got ${widths.length})`);
}

const PARTS = ['first', 'second', 'third'] as const;
const rowWidth = (widths: readonly number[]): number => widths.reduce((sum, width) => sum + width, 0);

/** Visits each run of columns: its part, its offset in that part, its offset in x, its number of columns. */
function forEachRun(
  tokens: number,
  { groups, widths }: SplitAttributes,
  visit: (part: (typeof PARTS)[number], at: number, inX: number, width: number) => void,
): void {
  for (let group = 0, inX = 0; group < tokens * groups; group++) {
    widths.forEach((width, p) => {
      visit(PARTS[p], group * width, inX, width);
      inX += width;
    });
  }
}

/** `splitColumns` with its gradient, which joins the gradients of the parts (`joinColumns`). */
export const differentiableSplitColumns: DifferentiableOp<typeof splitColumns> = {
  op: splitColumns,
  backward: ({ run, inputs, gradients: { first, second, third }, attributes }) => ({
    x: run(joinColumns, { first, second, third }, { tokens: inputs.x.shape[0], ...attributes }).x,
  }),
};
