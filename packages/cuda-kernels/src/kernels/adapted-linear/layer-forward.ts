import type { ArrayView, FloatDType, FloatView } from '@qdylora/contract';
import type { BaseOperands, GroupLayer, RankPart } from '@qdylora/lora-dynamic';
import type { CudaDoor } from '../../launch/launch.ts';
import { launchProduct, withMatrix } from '../linear/launch-product.ts';
import { multiplyFrozen, type FrozenWeight } from '../matmul-nf4/frozen-weight.ts';
import { onePart, scaleRanks } from './scale-ranks.ts';

type F32 = ArrayView<'f32'>;

export type LayerAttributes = GroupLayer & { readonly cols: number; readonly computeDtype: FloatDType };

/** One layer of a forward op. Without an adapter, u, a and b are missing. */
export interface ForwardCall extends BaseOperands {
  /** [tokens, cols] */
  readonly x: FloatView;
  /** [tokens, cols]: what the adapter reads, if not x. */
  readonly xAdapter?: FloatView;
  /** [rows] */
  readonly bias?: F32;
  /** [r, cols] */
  readonly a?: F32;
  /** [r, rows] */
  readonly b?: F32;
  /** [tokens, rows] */
  readonly y?: FloatView;
  /** [tokens, r] */
  readonly u?: F32;
}

/** u = xAdapter·Aᵀ, scaled and cut by parts; y = x·Wᵀ + bias + scale·u·B. */
export function forwardLayer(
  door: CudaDoor,
  { x, xAdapter = x, bias, a, b, y, u, ...weight }: ForwardCall,
  attributes: LayerAttributes & { readonly parts?: readonly RankPart[] },
): void {
  const { parts, scale, computeDtype } = attributes;
  if (u) launchProduct(door, { form: 'Nt', computeDtype, a: xAdapter, b: a!, c: u });
  if (u && parts)
    scaleRanks(door, u, u, { parts, rule: ({ rank, factor }) => ({ low: 0, high: rank, factor }) });
  if (!y) return;
  const [tokens, r] = u?.shape ?? [0, 0];
  if (!u || tokens === 0 || r === 0)
    return multiplyFrozen(door, weight as FrozenWeight, { x, bias, y }, attributes);
  withMatrix(door, { dtype: 'f32', shape: [tokens, r] }, (scaled) => {
    scaleRanks(door, u, scaled, {
      parts: onePart(tokens, r),
      rule: () => ({ low: 0, high: r, factor: scale }),
    });
    multiplyFrozen(door, weight as FrozenWeight, { x, bias, plus: { a: scaled, b: b! }, y }, attributes);
  });
}
