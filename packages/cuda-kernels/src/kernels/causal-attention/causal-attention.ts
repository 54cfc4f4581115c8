import {
  bindKernel,
  QdyloraError,
  type ArrayView,
  type BoundKernel,
  type FloatView,
} from '@qdylora/contract';
import { causalAttention, causalAttentionBackward, type AttentionAttributes } from '@qdylora/tensor';
import { dtypeSuffix } from '../../launch/dtype-suffix.ts';
import { elementKind, kindOf } from '../../launch/element-kind.ts';
import { f32, i32, input, output, type Argument, type CudaDoor } from '../../launch/launch.ts';
import { WARP } from '../../launch/row-threads.ts';

type F32 = ArrayView<'f32'>;

/** Own rows of a block by the largest head that it takes: src/device/attention.h. */
const SHAPES = [
  { dim: 64, rows: 32 },
  { dim: 128, rows: 32 },
  { dim: 256, rows: 16 },
] as const;
/** The largest head and the own rows of blocks that use tensor cores: causal-attention.tensor.cu. */
const TENSOR = { dim: 128, rows: 64 } as const;
const THREADS = 128;
/** Blocks that give every multiprocessor of a large device one of them: fewer are cut into chunks of keys. */
const FEWEST_BLOCKS = 128;
const LEAST_CHUNK_KEYS = 256;

interface Tiles {
  /** The module of the forward and of the backward kernels. */
  readonly forward: string;
  readonly backward: string;
  /** The end of a kernel's name. */
  readonly suffix: string;
  readonly rows: number;
}

/** The kernels for a call.  @throws QdyloraError UNSUPPORTED for large heads */
function tilesFor({ headDim, computeDtype }: AttentionAttributes): Tiles {
  const shape = SHAPES.find(({ dim }) => headDim <= dim);
  if (!shape)
    throw new QdyloraError('UNSUPPORTED', {
      where: 'causal-attention',
      problem: `heads on a GPU must have at most ${SHAPES.at(-1)!.dim} elements (got ${headDim})`,
    });
  const { dim, rows } = shape;
  if (computeDtype !== 'f32' && headDim <= TENSOR.dim) {
    const module = 'causal-attention.tensor';
    return {
      forward: module,
      backward: module,
      suffix: `Tensor${dim}${dtypeSuffix({ dtype: computeDtype })}`,
      rows: TENSOR.rows,
    };
  }
  return {
    forward: 'causal-attention',
    backward: 'causal-attention.backward',
    suffix: `${dim}`,
    rows,
  };
}

interface AttentionInputs {
  readonly q: FloatView;
  readonly k: FloatView;
  readonly v: FloatView;
  readonly querySegments: ArrayView<'i32'>;
  readonly keySegments: ArrayView<'i32'>;
  readonly alibiSlopes?: F32;
}

/** QD_ATTENTION_ARGUMENTS of src/device/attention-arguments.h. */
const sharedArguments = (
  { q, k, v, querySegments, keySegments, alibiSlopes }: AttentionInputs,
  { heads, kvHeads, headDim, window, scale, softCap, computeDtype }: AttentionAttributes,
): readonly Argument[] => [
  input(q),
  input(k),
  input(v),
  kindOf(q),
  i32(elementKind(computeDtype)),
  input(querySegments),
  input(keySegments),
  i32(querySegments.shape[0]),
  input(alibiSlopes ?? querySegments),
  i32(alibiSlopes ? 1 : 0),
  i32(q.shape[0]),
  i32(k.shape[0]),
  i32(heads),
  i32(kvHeads),
  i32(headDim),
  i32(window),
  f32(scale),
  f32(softCap),
];

/** How many chunks the keys are cut into, for few queries. It depends on sizes alone. */
function chunksFor(blocks: number, keys: number): number {
  const wanted = Math.floor(FEWEST_BLOCKS / Math.max(1, blocks));
  return Math.max(1, Math.min(wanted, Math.floor(keys / LEAST_CHUNK_KEYS)));
}

const forwardKernel = ({ launch, withScratch }: CudaDoor): BoundKernel =>
  bindKernel(causalAttention, (inputs, { y, logSumExp }, attributes) => {
    const { heads, headDim } = attributes;
    const [queries, keys] = [inputs.q.shape[0], inputs.k.shape[0]];
    const { forward, suffix, rows } = tilesFor(attributes);
    const blocks = Math.ceil(queries / rows) * heads;
    const chunks = chunksFor(blocks, keys);
    const attend = (chunkSums: F32, chunkStates: F32): void =>
      launch({
        module: forward,
        kernel: `attend${suffix}`,
        blocks: blocks * chunks,
        threads: THREADS,
        arguments: [
          ...sharedArguments(inputs, attributes),
          output(y),
          output(logSumExp),
          output(chunkSums),
          output(chunkStates),
          i32(chunks),
          i32(Math.max(1, Math.ceil(keys / chunks))),
        ],
      });
    if (chunks === 1) return attend(logSumExp, logSumExp);
    const rowCount = chunks * heads * queries;
    withScratch(rowCount * headDim, (chunkSums) =>
      withScratch(rowCount * 2, (chunkStates) => {
        attend(chunkSums, chunkStates);
        launch({
          module: 'causal-attention',
          kernel: 'joinChunks',
          blocks: queries * heads,
          threads: WARP,
          arguments: [
            input(chunkSums),
            input(chunkStates),
            output(y),
            kindOf(y),
            output(logSumExp),
            i32(chunks),
            i32(queries),
            i32(heads),
            i32(headDim),
          ],
        });
      }),
    );
  });

const backwardKernel = ({ launch, withScratch }: CudaDoor): BoundKernel =>
  bindKernel(causalAttentionBackward, (inputs, { dq, dk, dv }, attributes) => {
    const { y, logSumExp, dy } = inputs;
    const { heads, kvHeads, headDim } = attributes;
    const [queries, keys] = [inputs.q.shape[0], inputs.k.shape[0]];
    const { backward, suffix, rows } = tilesFor(attributes);
    withScratch(Math.max(1, heads * queries), (dots) => {
      launch({
        module: 'causal-attention.backward',
        kernel: 'outputDots',
        blocks: Math.ceil((heads * queries * WARP) / THREADS),
        threads: THREADS,
        arguments: [input(y), input(dy), kindOf(y), output(dots), i32(queries), i32(heads), i32(headDim)],
      });
      const shared = [...sharedArguments(inputs, attributes), input(dy), input(logSumExp), input(dots)];
      launch({
        module: backward,
        kernel: `queryGradients${suffix}`,
        blocks: Math.ceil(queries / rows) * heads,
        threads: THREADS,
        arguments: [...shared, output(dq)],
      });
      launch({
        module: backward,
        kernel: `keyGradients${suffix}`,
        blocks: Math.ceil(keys / rows) * kvHeads,
        threads: THREADS,
        arguments: [...shared, output(dk), output(dv)],
      });
    });
  });

export const causalAttentionKernels = (door: CudaDoor): BoundKernel[] => [
  forwardKernel(door),
  backwardKernel(door),
];
