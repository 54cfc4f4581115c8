import type { BoundKernel } from '@qdylora/contract';
import { activationKernels } from './kernels/activation/activation.ts';
import { activationGateKernels } from './kernels/activation-gate/activation-gate.ts';
import { adamw8bitStepKernels } from './kernels/adamw-8bit-step/adamw-8bit-step.ts';
import { adamwStepKernels } from './kernels/adamw-step/adamw-step.ts';
import { adaptedLinearKernels } from './kernels/adapted-linear/adapted-linear.ts';
import { addKernels } from './kernels/add/add.ts';
import { appendRowsKernels } from './kernels/append-rows/append-rows.ts';
import { causalAttentionKernels } from './kernels/causal-attention/causal-attention.ts';
import { copyKernels } from './kernels/copy/copy.ts';
import { dequantizeBlockwiseKernels } from './kernels/dequantize-blockwise/dequantize-blockwise.ts';
import { dequantizeGgmlKernels } from './kernels/dequantize-ggml/dequantize-ggml.ts';
import { dropoutKernels } from './kernels/dropout/dropout.ts';
import { embeddingKernels } from './kernels/embedding/embedding.ts';
import { fillKernels } from './kernels/fill/fill.ts';
import { layerNormKernels } from './kernels/layer-norm/layer-norm.ts';
import { linearKernels } from './kernels/linear/linear.ts';
import { linearArgmaxKernels } from './kernels/linear-argmax/linear-argmax.ts';
import { linearCrossEntropyKernels } from './kernels/linear-cross-entropy/linear-cross-entropy.ts';
import { crossEntropyTopKKernels } from './kernels/linear-cross-entropy-top-k/linear-cross-entropy-top-k.ts';
import { linearDistillationKernels } from './kernels/linear-distillation/linear-distillation.ts';
import { lion8bitStepKernels } from './kernels/lion-8bit-step/lion-8bit-step.ts';
import { lionStepKernels } from './kernels/lion-step/lion-step.ts';
import { matmulNf4Kernels } from './kernels/matmul-nf4/matmul-nf4.ts';
import { quantizeBlockwiseKernels } from './kernels/quantize-blockwise/quantize-blockwise.ts';
import { quantizeRowsKernels } from './kernels/quantize-rows/quantize-rows.ts';
import { quantizeScalesKernels } from './kernels/quantize-scales/quantize-scales.ts';
import { rmsNormKernels } from './kernels/rms-norm/rms-norm.ts';
import { ropeKernels } from './kernels/rope/rope.ts';
import { scaleByKernels } from './kernels/scale-by/scale-by.ts';
import { softCapKernels } from './kernels/soft-cap/soft-cap.ts';
import { splitColumnsKernels } from './kernels/split-columns/split-columns.ts';
import { sumOfSquaresKernels } from './kernels/sum-of-squares/sum-of-squares.ts';
import type { CudaDoor } from './launch/launch.ts';

/** Every kernel folder, once. */
const FOLDERS: readonly ((door: CudaDoor) => BoundKernel[])[] = [
  activationKernels,
  activationGateKernels,
  adamw8bitStepKernels,
  adamwStepKernels,
  adaptedLinearKernels,
  addKernels,
  appendRowsKernels,
  causalAttentionKernels,
  copyKernels,
  dequantizeBlockwiseKernels,
  dequantizeGgmlKernels,
  dropoutKernels,
  embeddingKernels,
  fillKernels,
  layerNormKernels,
  linearKernels,
  linearArgmaxKernels,
  linearCrossEntropyKernels,
  crossEntropyTopKKernels,
  linearDistillationKernels,
  lion8bitStepKernels,
  lionStepKernels,
  matmulNf4Kernels,
  quantizeBlockwiseKernels,
  quantizeRowsKernels,
  quantizeScalesKernels,
  rmsNormKernels,
  ropeKernels,
  scaleByKernels,
  softCapKernels,
  splitColumnsKernels,
  sumOfSquaresKernels,
];

/** All kernels of the package, bound to a device. */
export const cudaKernels = (door: CudaDoor): BoundKernel[] => FOLDERS.flatMap((folder) => folder(door));

/** Names of the ops that have a kernel. */
export const cudaOpNames = (): ReadonlySet<string> =>
  new Set(cudaKernels({ launch() {}, withScratch() {} }).map(({ op }) => op.name));
