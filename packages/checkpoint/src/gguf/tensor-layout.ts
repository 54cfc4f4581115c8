import { badFile, printedName } from '../bad-file.ts';
import type { GgufFacts } from './gguf-facts.ts';
import type { GgufTensor } from './file/read-gguf.ts';

/** Rearrangements of llama.cpp's converter, which reading reverses. */
export type Layout =
  /** The two halves of each head's rows are interleaved, so that rotated pairs are neighbours. */
  | 'interleaved-q'
  | 'interleaved-k'
  /**
   * All queries, then all keys, then all values; a Hugging Face checkpoint has them by group (Falcon) or by
   * head (GPT-NeoX).
   */
  | 'falcon-qkv'
  | 'neox-qkv'
  /** 1 was added to a norm's weight. */
  | 'one-more'
  /** [out, in] instead of GPT-2's [in, out]. */
  | 'transposed';

/** Head counts of the model whose tensors are rearranged. */
export interface Heads {
  readonly heads: number;
  readonly kvHeads: number;
}

/** Maps row r of the Hugging Face checkpoint to a row of the file. */
export type RowOrder = (row: number) => number;

/**
 * The row order of a tensor; undefined if rows are unchanged. Blocks run along rows, so packed rows can move.
 *
 * @throws QdyloraError BAD_FILE if the number of rows does not match the heads in the file.
 */
export function rowOrder(
  { name, shape }: GgufTensor,
  layout: Layout | undefined,
  facts: GgufFacts,
): RowOrder | undefined {
  const rows = shape[0] ?? 0;
  const headSize = (parts: number, multipleOf: number): number => {
    if (rows % (multipleOf * parts) !== 0)
      throw badFile({
        format: 'gguf',
        path: facts.path,
        problem:
          `${printedName(name)} has ${rows} rows, which are not ${parts} heads of ` +
          `${multipleOf === 2 ? 'an even' : 'one'} size.`,
        details: { tensor: name },
      });
    return rows / parts;
  };
  if (rows === 0) return undefined;
  return orderOf(layout, facts, headSize);
}

/**
 * The row order of a layout. `headSize(parts, multipleOf)` returns the size of one of `parts` heads, or
 * throws.
 */
export function orderOf(
  layout: Layout | undefined,
  { heads, kvHeads }: Heads,
  headSize: (parts: number, multipleOf: number) => number,
): RowOrder | undefined {
  switch (layout) {
    case 'interleaved-q':
      return interleavedRow(headSize(heads, 2));
    case 'interleaved-k':
      return interleavedRow(headSize(kvHeads, 2));
    case 'falcon-qkv':
      return groupedRow(headSize(heads + 2 * kvHeads, 1), heads, kvHeads);
    case 'neox-qkv':
      return groupedRow(headSize(3 * heads, 1), heads, heads);
    case 'one-more':
    case 'transposed':
    case undefined:
      return undefined;
  }
}

/**
 * The row order of q and k. Hugging Face rotates row i of a head with row i + headSize / 2; the file has such
 * a pair as rows 2i and 2i + 1.
 */
export function interleavedRow(headSize: number): RowOrder {
  const half = headSize / 2;
  return (row) => {
    const within = row % headSize;
    return row - within + (within < half ? 2 * within : 2 * (within - half) + 1);
  };
}

/**
 * The row order of a fused matrix: groups of (heads / kvHeads queries, a key, a value) in Hugging Face; all
 * queries, all keys, all values in the file.
 */
function groupedRow(headSize: number, heads: number, kvHeads: number): RowOrder {
  const queries = heads / kvHeads;
  const slots = queries + 2;
  return (row) => {
    const within = row % headSize;
    const slot = (row - within) / headSize;
    const j = slot % slots;
    const group = (slot - j) / slots;
    const inFile = j < queries ? group * queries + j : heads + (j - queries) * kvHeads + group;
    return inFile * headSize + within;
  };
}
