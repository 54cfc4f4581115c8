import { bindKernel, type ArrayView, type BoundKernel, type FloatView } from '@qdylora/contract';
import { residualNorm, rmsNorm, rmsNormBackward } from '@qdylora/tensor';
import { dtypeSuffix } from '../../launch/dtype-suffix.ts';
import { f32, i32, input, output, u64, type CudaDoor } from '../../launch/launch.ts';
import { rowThreads } from '../../launch/row-threads.ts';

/** Rows of one partial sum of the weight's gradient: ROWS_OF_PARTIAL in rms-norm.cu. */
const PARTIAL_ROWS = 32;
/** Columns of a block of the weight's gradient. */
const GRADIENT_THREADS = 128;

const forwardKernels = (door: CudaDoor): BoundKernel[] => [
  bindKernel(rmsNorm, ({ x, weight }, { y, inverseRms }, { epsilon, weightOffset }) => {
    const hidden = weight.shape[0];
    door.launch({
      module: 'rms-norm',
      kernel: `rmsNorm${dtypeSuffix(y)}`,
      blocks: inverseRms.shape[0],
      threads: rowThreads(hidden),
      arguments: [
        input(x),
        input(weight),
        output(y),
        output(inverseRms),
        i32(hidden),
        f32(epsilon),
        f32(weightOffset),
      ],
    });
  }),
  bindKernel(residualNorm, ({ a, b, weight }, { sum, y, inverseRms }, { epsilon, weightOffset }) => {
    const hidden = weight.shape[0];
    door.launch({
      module: 'rms-norm',
      kernel: `residualNorm${dtypeSuffix(y)}`,
      blocks: inverseRms.shape[0],
      threads: rowThreads(hidden),
      arguments: [
        input(a),
        input(b),
        input(weight),
        output(sum),
        output(y),
        output(inverseRms),
        i32(hidden),
        f32(epsilon),
        f32(weightOffset),
      ],
    });
  }),
];

const backwardKernels = (door: CudaDoor): BoundKernel[] => [
  bindKernel(
    rmsNormBackward,
    ({ x, weight, inverseRms, dy }, { dx, dWeight }, { weightOffset, accumulate }) => {
      const hidden = weight.shape[0];
      door.launch({
        module: 'rms-norm',
        kernel: `rmsNormBackward${dtypeSuffix(dy)}`,
        blocks: inverseRms.shape[0],
        threads: rowThreads(hidden),
        arguments: [
          input(x),
          input(weight),
          input(inverseRms),
          input(dy),
          output(dx),
          i32(hidden),
          f32(weightOffset),
          i32(accumulate ? 1 : 0),
        ],
      });
      if (dWeight) addWeightGradient(door, { x, inverseRms, dy, dWeight });
    },
  ),
];

export const rmsNormKernels = (door: CudaDoor): BoundKernel[] => [
  ...forwardKernels(door),
  ...backwardKernels(door),
];

interface NormGradient {
  /** [rows, hidden] */
  readonly x: FloatView;
  /** [rows] */
  readonly inverseRms: ArrayView<'f32'>;
  /** [rows, hidden] */
  readonly dy: FloatView;
  /** [hidden] */
  readonly dWeight: ArrayView<'f32'>;
}

/** dWeight += Σ dy·x·r: partial sums of 32 rows each, then their sum. */
function addWeightGradient(
  { launch, withScratch }: CudaDoor,
  { x, inverseRms, dy, dWeight }: NormGradient,
): void {
  const rows = inverseRms.shape[0];
  const hidden = dWeight.shape[0];
  const chunks = Math.ceil(rows / PARTIAL_ROWS);
  const columnBlocks = Math.ceil(hidden / GRADIENT_THREADS);
  if (chunks === 0) return;
  withScratch(chunks * hidden, (partials) => {
    launch({
      module: 'rms-norm',
      kernel: `weightGradientPartials${dtypeSuffix(dy)}`,
      blocks: chunks * columnBlocks,
      threads: GRADIENT_THREADS,
      arguments: [input(x), input(inverseRms), input(dy), output(partials), u64(rows), i32(hidden)],
    });
    launch({
      module: 'rms-norm',
      kernel: 'addWeightGradient',
      blocks: columnBlocks,
      threads: GRADIENT_THREADS,
      arguments: [input(partials), output(dWeight), i32(chunks), i32(hidden)],
    });
  });
}
