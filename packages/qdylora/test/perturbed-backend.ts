import {
  createHostBackend,
  createRng,
  hostData,
  isHalfDType,
  wrapBackend,
  type Backend,
  type HalfDType,
} from '@qdylora/contract';
import { OPERAND_ROUNDING } from '@qdylora/testing';

/** Relative change of a float32 result: 32 units in the last place, as of a sum of a hundred terms. */
const FLOAT_CHANGE = 32 * 2 ** -24;
/** Share of the results in two bytes that become their neighbour: where such a change crosses a midpoint. */
const changedShare = (dtype: HalfDType): number => FLOAT_CHANGE / OPERAND_ROUNDING[dtype];

/** Ops that must give their bits: what is counted, copied, packed or drawn. */
const EXACT_OPS = /^(fill|copy|append-rows|quantize|split|dropout)|-step$/;

/**
 * The host backend, with rounding errors of the size that the conformance cases allow to kernels: each
 * float32 result of each op is changed by up to 32 units in its last place (or `relativeChange` of itself),
 * up or down by the seed. A correct backend may be as far from the host backend as the results of a whole run
 * move by that.
 */
export function createPerturbedBackend(seed: number, relativeChange = FLOAT_CHANGE): Backend {
  const rng = createRng(seed).named('perturbation');
  let drawn = 0;
  const change = (): number => 2 * rng.uniform(drawn++) - 1;
  return wrapBackend(createHostBackend(), {
    measure({ op, outputs }, run) {
      run();
      if (EXACT_OPS.test(op.name)) return;
      for (const view of Object.values(outputs)) {
        if (view?.dtype === 'f32') {
          const values = hostData(view);
          for (let i = 0; i < values.length; i++) values[i] *= 1 + relativeChange * change();
        } else if (view && isHalfDType(view.dtype)) {
          const halves = hostData(view);
          const share = changedShare(view.dtype);
          for (let i = 0; i < halves.length; i++)
            if (halves[i] !== 0 && Math.abs(change()) < share) halves[i] ^= 1;
        }
      }
    },
  });
}
