import { runOp, type ArrayView, type Backend, type FloatView } from '@qdylora/contract';
import { quantizeRows } from '@qdylora/tensor';

/** An 8-bit copy of a head, which rules out most tokens as the most likely one. */
export interface HeadCodes extends Disposable {
  /** codes: [vocabulary, hidden]  scales: [vocabulary] */
  readonly operands: { readonly codes: ArrayView<'u8'>; readonly scales: ArrayView<'f32'> };
}

/**
 * Quantizes a head by rows.
 *
 * @param weight [vocabulary, hidden]
 */
export function createHeadCodes(backend: Backend, weight: FloatView): HeadCodes {
  const { memory } = backend;
  const { codes, scales } = memory.scoped(
    () => runOp(backend, quantizeRows, { weight }, {}),
    (made) => [made.codes, made.scales],
  );
  memory.persist(codes, scales);
  return {
    operands: { codes, scales },
    [Symbol.dispose]() {
      for (const view of [codes, scales]) memory.release(view);
    },
  };
}
