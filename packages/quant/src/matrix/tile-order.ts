import {
  elementCount,
  hostData,
  QdyloraError,
  shapeText,
  typedArray,
  viewOf,
  type ArrayView,
} from '@qdylora/contract';

/**
 * Rows of a tile, each with one block. Kernels read a tile as 1 KiB of contiguous codes, in forward and
 * backward.
 */
export const TILE_ROWS = 32;
/** Columns of a tile: the block size that tiles need. */
export const TILE_COLUMNS = 64;

/** True if a matrix divides into whole tiles. */
export const fitsTiles = ([rows, cols]: readonly [number, number], blockSize: number): boolean =>
  blockSize === TILE_COLUMNS && rows % TILE_ROWS === 0 && cols % TILE_COLUMNS === 0;

/** @throws QdyloraError BAD_SHAPE if the matrix does not divide into whole tiles */
export function assertTiles(shape: readonly [number, number], blockSize: number, where: string): void {
  if (!fitsTiles(shape, blockSize))
    throw new QdyloraError('BAD_SHAPE', {
      where,
      problem:
        `a tiled matrix must have whole tiles of ${TILE_ROWS} × ${TILE_COLUMNS} and blocks of ` +
        `${TILE_COLUMNS} (got ${shapeText(shape)} in blocks of ${blockSize})`,
    });
}

type Tileable = ArrayView<'u8'> | ArrayView<'f32'>;

/**
 * Elements of one block: 32 bytes of codes, or one scale. The block of row r and column k of blocks is number
 * r · columns + k in row-major order, and number ((r div 32) · columns + k) · 32 + r mod 32 in tiles.
 */
const PIECE = { codes: TILE_COLUMNS / 2, scales: 1 } as const;

/**
 * Reorders codes or scales from row-major order into tiles. `into` may be the array itself: a band of 32 rows
 * keeps its place.
 */
export const toTiles = <V extends Tileable>(
  view: V,
  shape: readonly [number, number],
  what: keyof typeof PIECE,
  into = emptyLike(view),
): V => reorder(view, into, { shape, elements: PIECE[what], isForward: true });

/** The exact inverse of `toTiles`. */
export const fromTiles = <V extends Tileable>(
  view: V,
  shape: readonly [number, number],
  what: keyof typeof PIECE,
  into = emptyLike(view),
): V => reorder(view, into, { shape, elements: PIECE[what], isForward: false });

const emptyLike = <V extends Tileable>(view: V): V =>
  viewOf(view.dtype, view.shape, typedArray(view.dtype, null, 0, elementCount(view.shape))) as V;

/** Both arrays as 32-bit words where both are aligned, so that four bytes of codes move at a time. */
function asWords(arrays: readonly (Uint8Array | Float32Array)[], elements: number) {
  const canBeWords = arrays.every(
    (data) => data instanceof Uint8Array && elements % 4 === 0 && data.byteOffset % 4 === 0,
  );
  if (!canBeWords) return arrays;
  return arrays.map((data) => new Uint32Array(data.buffer, data.byteOffset, data.length >> 2));
}

/** How an array is reordered. */
interface Reordering {
  /** Of the matrix. */
  readonly shape: readonly [number, number];
  /** Elements of one block. */
  readonly elements: number;
  /** From rows into tiles; else back. */
  readonly isForward: boolean;
}

function reorder<V extends Tileable>(view: V, into: V, { shape, elements, isForward }: Reordering): V {
  const [rows, cols] = shape;
  const columns = cols / TILE_COLUMNS;
  const [source, target] = asWords([hostData(view), hostData(into)], elements);
  if (source.length !== target.length)
    throw new QdyloraError('BAD_SHAPE', {
      where: 'tile-order',
      problem:
        'the two arrays must have equally many elements ' +
        `(got ${shapeText(view.shape)} and ${shapeText(into.shape)})`,
    });
  const piece = (elements * source.length) / hostData(view).length;
  const bandLength = TILE_ROWS * columns * piece;
  for (let start = 0; start < rows * columns * piece; start += bandLength) {
    const band = source.slice(start, start + bandLength);
    for (let row = 0; row < TILE_ROWS; row++) {
      for (let column = 0; column < columns; column++) {
        const inRow = (row * columns + column) * piece;
        const inTile = (column * TILE_ROWS + row) * piece;
        const from = isForward ? inRow : inTile;
        const to = start + (isForward ? inTile : inRow);
        for (let i = 0; i < piece; i++) target[to + i] = band[from + i];
      }
    }
  }
  return into;
}
