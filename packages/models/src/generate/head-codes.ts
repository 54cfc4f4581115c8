import { runOp, type ArrayView, type Backend, type FloatView } from '@qdylora/contract';
import { quantizeRows } from '@qdylora/tensor';

/**
 * A head in 8 bits, which says of most tokens that they are not the likeliest. Use after disposal is a
 * DisposedError.
 */
export interface HeadCodes extends Disposable {
  /** codes: [vocabulary, hidden]  scales: [vocabulary] */
  readonly operands: { readonly codes: ArrayView<'u8'>; readonly scales: ArrayView<'f32'> };
}

/** @param weight [vocabulary, hidden] */
export function createHeadCodes(backend: Backend, weight: FloatView): HeadCodes {
  const { memory } = backend;
  const { codes, scales } = runOp(backend, quantizeRows, { weight }, {});
  memory.persist(codes, scales);
  return {
    operands: { codes, scales },
    [Symbol.dispose]() {
      for (const view of [codes, scales]) memory.release(view);
    },
  };
}
