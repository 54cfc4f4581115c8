import { bindKernel, type ArrayView, type BoundKernel } from '@qdylora/contract';
import { layerNorm, layerNormBackward } from '@qdylora/tensor';
import { f32, i32, input, output, type CudaDoor } from '../../launch/launch.ts';
import { rowThreads } from '../../launch/row-threads.ts';

type F32 = ArrayView<'f32'>;

/** Rows of one partial sum of a gradient: ROWS_OF_PARTIAL in layer-norm.cu. */
const PARTIAL_ROWS = 32;
/** Columns of a block of a gradient. */
const GRADIENT_THREADS = 128;

export const layerNormKernels = (door: CudaDoor): BoundKernel[] => [
  bindKernel(layerNorm, ({ x, weight, bias }, { y, mean, inverseDeviation }, { epsilon }) => {
    const [tokens, hidden] = x.shape as [number, number];
    door.launch({
      module: 'layer-norm',
      kernel: 'layerNorm',
      blocks: tokens,
      threads: rowThreads(hidden),
      arguments: [
        input(x),
        input(weight),
        input(bias ?? weight),
        i32(bias ? 1 : 0),
        output(y),
        output(mean),
        output(inverseDeviation),
        i32(hidden),
        f32(epsilon),
      ],
    });
  }),
  bindKernel(layerNormBackward, (inputs, { dx, dWeight, dBias }, { accumulate }) => {
    const { x, weight, mean, inverseDeviation, dy } = inputs;
    const [tokens, hidden] = x.shape as [number, number];
    door.launch({
      module: 'layer-norm',
      kernel: 'layerNormBackward',
      blocks: tokens,
      threads: rowThreads(hidden),
      arguments: [
        input(x),
        input(weight),
        input(mean),
        input(inverseDeviation),
        input(dy),
        output(dx),
        i32(hidden),
        i32(accumulate ? 1 : 0),
      ],
    });
    if (dWeight || dBias) addGradients(door, inputs as LayerNormRows, { dWeight, dBias });
  }),
];

interface LayerNormRows {
  readonly x: F32;
  readonly mean: F32;
  readonly inverseDeviation: F32;
  readonly dy: F32;
}

/** dWeight += Σ dy·n and dBias += Σ dy: partial sums of 32 rows each, then their sum. */
function addGradients(
  { launch, withScratch }: CudaDoor,
  { x, mean, inverseDeviation, dy }: LayerNormRows,
  { dWeight, dBias }: { readonly dWeight?: F32; readonly dBias?: F32 },
): void {
  const [tokens, hidden] = x.shape as [number, number];
  const chunks = Math.ceil(tokens / PARTIAL_ROWS);
  const columnBlocks = Math.ceil(hidden / GRADIENT_THREADS);
  if (chunks === 0) return;
  const add = (partials: F32, gradient: F32 | undefined): void => {
    if (!gradient) return;
    launch({
      module: 'layer-norm',
      kernel: 'addPartials',
      blocks: columnBlocks,
      threads: GRADIENT_THREADS,
      arguments: [input(partials), output(gradient), i32(chunks), i32(hidden)],
    });
  };
  withScratch(chunks * hidden, (weightPartials) =>
    withScratch(chunks * hidden, (biasPartials) => {
      launch({
        module: 'layer-norm',
        kernel: 'layerNormPartials',
        blocks: chunks * columnBlocks,
        threads: GRADIENT_THREADS,
        arguments: [
          input(x),
          input(mean),
          input(inverseDeviation),
          input(dy),
          output(weightPartials),
          output(biasPartials),
          i32(tokens),
          i32(hidden),
        ],
      });
      add(weightPartials, dWeight);
      add(biasPartials, dBias);
    }),
  );
}
