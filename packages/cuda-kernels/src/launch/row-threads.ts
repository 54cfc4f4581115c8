/** Threads of a warp. */
export const WARP = 32;
/** Threads of a block at most: LARGEST_BLOCK in src/device/block-sum.h. */
const LARGEST_BLOCK = 256;

/** Threads of a block that owns a row: whole warps, no more than the columns of a short row need. */
export const rowThreads = (columns: number): number =>
  Math.min(LARGEST_BLOCK, Math.max(1, Math.ceil(columns / WARP)) * WARP);
