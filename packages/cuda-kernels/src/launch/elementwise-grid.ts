/** Threads of a block of an elementwise kernel. */
const THREADS = 256;
/** Elements of a thread: `runOfThread` in src/device/elementwise.h. */
const ELEMENTS_OF_THREAD = 4;

/** The grid of an elementwise kernel over n elements. */
export const elementwiseGrid = (
  n: number,
  elementsOfThread = ELEMENTS_OF_THREAD,
): { readonly blocks: number; readonly threads: number } => ({
  blocks: Math.ceil(n / (THREADS * elementsOfThread)),
  threads: THREADS,
});
