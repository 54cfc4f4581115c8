import {
  hostData,
  assertArgument,
  assertShape,
  defineOp,
  elementCount,
  QdyloraError,
  u8Array,
  type ArrayView,
  type Shape,
} from '@qdylora/contract';
import { GGML_BLOCKS } from '../ggml/ggml-blocks.ts';

/** Attributes of `dequantizeGgml`: the layout of the blocks, and the shape of the values. */
export interface DequantizeGgmlAttributes {
  /** A key of `GGML_BLOCKS`. */
  readonly type: string;
  /** Of the values; its last size is that of a row, which blocks never leave. */
  readonly shape: Shape;
}

/**
 * The values of packed ggml blocks, as in GGUF files; each file of `src/ggml` is one layout. Exact to the
 * bit, except for the payload of NaN.
 *
 * blocks: [values / values of a block · bytes of a block]   →   values: `shape`
 */
export const dequantizeGgml = defineOp({
  name: 'dequantize-ggml',
  takes: { blocks: u8Array(1) },
  shapes({ blocks }: { blocks: ArrayView<'u8'> }, { type, shape }: DequantizeGgmlAttributes) {
    const { length, bytes } = ggmlBlock(type);
    const row = shape.at(-1) ?? 1;
    assertArgument(
      row % length === 0,
      'dequantize-ggml',
      `rows of ${type} must have a multiple of ${length} elements (got ${row})`,
    );
    assertShape('dequantize-ggml', 'blocks', blocks.shape, [(elementCount(shape) / length) * bytes]);
    return { values: { dtype: 'f32', shape } };
  },
  reference({ blocks }, { values }: { values: ArrayView<'f32'> }, { type }) {
    ggmlBlock(type).dequantize(hostData(blocks), hostData(values));
  },
});

function ggmlBlock(type: string) {
  const found = GGML_BLOCKS.get(type);
  if (found) return found;
  const supported = [...GGML_BLOCKS.keys()];
  throw new QdyloraError('UNSUPPORTED', {
    where: 'dequantize-ggml',
    problem: `the block type ${type} is not supported. Supported: ${supported.join(', ')}`,
    details: { type, supported },
  });
}
