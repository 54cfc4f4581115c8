import { areSiblings, type TermRange } from '@qdylora/collectives';
import { runOp, type ArrayView, type Backend } from '@qdylora/contract';
import { addInto, copy } from '@qdylora/tensor';
import { clearArrays } from '../step/accumulate-gradients.ts';

type F32 = ArrayView<'f32'>;

/**
 * Partial sums of this worker's terms, as in the tree of `sumInOrder`. The newest one is in the gradient
 * arrays, earlier ones in their own arrays.
 */
export interface GradientBlocks {
  /** Copies the newest partial sum to its own arrays and clears the gradients for the next term. */
  setAside(): void;
  /**
   * Takes the gradients as those of `term`, and adds earlier partial sums that are its siblings in the tree.
   */
  join(term: number): void;
  /** Adds all partial sums into the gradients, last to first, as `sumInOrder` adds the roots of its tree. */
  addAll(): void;
  /** Calls `read` for each partial sum, last to first, while that sum is in the gradient arrays. */
  forEachFromLast(read: () => Promise<void>): Promise<void>;
  release(): void;
}

/**
 * Adds terms in the tree of `sumInOrder`. Besides the gradients it needs memory for ⌊log2 n⌋ partial sums of
 * n terms.
 *
 * @param gradients the rows that get a gradient from any term of this worker
 */
export function gradientBlocks(backend: Backend, gradients: readonly F32[]): GradientBlocks {
  const { memory } = backend;
  const aside: { readonly range: TermRange; readonly arrays: readonly F32[] }[] = [];
  let newest: TermRange | null = null;
  const free = (arrays: readonly F32[]): void => {
    for (const array of arrays) memory.release(array);
  };
  return {
    setAside() {
      const arrays: F32[] = [];
      aside.push({ range: newest!, arrays }); // first: if memory runs out, `release` frees these arrays
      for (const gradient of gradients) {
        const array = memory.allocate('f32', gradient.shape);
        memory.persist(array);
        arrays.push(array);
        runOp(backend, copy, { x: gradient }, {}, { y: array });
      }
      clearArrays(backend, gradients);
    },
    join(term) {
      newest = { from: term, to: term + 1 };
      for (let last = aside.at(-1); last && areSiblings(last.range, newest); last = aside.at(-1)) {
        const { arrays, range } = aside.pop()!;
        addArrays(backend, arrays, gradients);
        free(arrays);
        newest = { from: range.from, to: newest.to };
      }
    },
    addAll() {
      for (let last = aside.pop(); last; last = aside.pop()) {
        addArrays(backend, last.arrays, gradients);
        free(last.arrays);
      }
    },
    async forEachFromLast(read) {
      if (!newest) return;
      await read();
      for (let last = aside.pop(); last; last = aside.pop()) {
        last.arrays.forEach((x, i) => {
          runOp(backend, copy, { x }, {}, { y: gradients[i] });
        });
        free(last.arrays);
        await read();
      }
    },
    release() {
      for (const { arrays } of aside.splice(0)) free(arrays);
    },
  };
}

const addArrays = (backend: Backend, from: readonly F32[], to: readonly F32[]): void => {
  from.forEach((x, i) => {
    runOp(backend, addInto, { x }, {}, { sum: to[i] });
  });
};
