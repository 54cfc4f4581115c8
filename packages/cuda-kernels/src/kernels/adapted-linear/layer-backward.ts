import type { ArrayView, FloatView } from '@qdylora/contract';
import type { RankPart } from '@qdylora/lora-dynamic';
import type { CudaDoor } from '../../launch/launch.ts';
import { launchProduct, withMatrix } from '../linear/launch-product.ts';
import { frozenInputGradient, type FrozenWeight } from '../matmul-nf4/frozen-weight.ts';
import type { LayerAttributes } from './layer-forward.ts';
import { scaleRanks } from './scale-ranks.ts';

type F32 = ArrayView<'f32'>;

/** One layer of a backward op. Without an adapter, u, a and b are missing. */
export interface LayerCall {
  readonly dy: FloatView;
  /** What the adapter read; only its gradients need it. */
  readonly x?: FloatView;
  readonly u?: F32;
  readonly a?: F32;
  readonly b?: F32;
  readonly weight: FrozenWeight;
  readonly da?: F32;
  readonly db?: F32;
  readonly parts: readonly RankPart[];
  readonly trainFrom: number;
  readonly attributes: LayerAttributes;
}

/** Calls `body` with g = scale·dy·Bᵀ: [tokens, r], scaled and cut by parts. */
export function innerGradient(
  door: CudaDoor,
  { dy, b, parts, attributes: { scale, computeDtype } }: LayerCall,
  body: (g: F32) => void,
): void {
  withMatrix(door, { dtype: 'f32', shape: [dy.shape[0], b?.shape[0] ?? 0] }, (g) => {
    if (b) {
      launchProduct(door, { form: 'Nt', computeDtype, a: dy, b, c: g });
      scaleRanks(door, g, g, {
        parts,
        rule: ({ rank, factor }) => ({ low: 0, high: rank, factor: scale * factor }),
      });
    }
    body(g);
  });
}

/** dx = before + dy·W, and g·A where g is given. */
export function inputGradient(
  door: CudaDoor,
  { dy, a, weight, attributes }: LayerCall,
  { g, before, dx }: { readonly g?: F32; readonly before?: FloatView; readonly dx: FloatView },
): void {
  const plus = g && a && a.shape[0] > 0 ? { a: g, b: a } : undefined;
  frozenInputGradient(door, weight, { dy, plus, before, dx }, attributes);
}

/** da += gᵀ·x and db += scale·uᵀ·dy, of the rows from `trainFrom` on, weighted by parts. */
export function addAdapterGradients(
  door: CudaDoor,
  { dy, x, u, da, db, parts, trainFrom, attributes: { scale, computeDtype } }: LayerCall,
  g: F32,
): void {
  if (!u) return;
  const [tokens, r] = u.shape as [number, number];
  if (tokens === 0 || r === trainFrom) return;
  /** gradient += trainedᵀ · factor, where `trained` are the columns of `inner` that are trained. */
  const add = (gradient: F32, inner: F32, factor: FloatView, multiplier: number): void =>
    withMatrix(door, { dtype: 'f32', shape: [tokens, r - trainFrom] }, (trained) => {
      scaleRanks(door, inner, trained, {
        parts,
        from: trainFrom,
        rule: (part) => ({ low: part.trainFrom, high: part.rank, factor: multiplier * (part.weight ?? 1) }),
      });
      launchProduct(door, {
        form: 'Tn',
        computeDtype,
        a: trained,
        b: factor,
        c: gradient,
      });
    });
  if (da) add(da, g, x!, 1);
  if (db) add(db, u, dy, scale);
}
