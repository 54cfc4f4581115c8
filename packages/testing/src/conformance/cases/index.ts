import type { ConformanceCase } from '../conformance-case.ts';
import { activationCases } from './activation.ts';
import { activationGateCases } from './activation-gate.ts';
import { adamw8bitStepCases } from './adamw-8bit-step.ts';
import { adamwStepCases } from './adamw-step.ts';
import { adaptedLinearCases } from './adapted-linear.ts';
import { adaptedLinearGroupCases } from './adapted-linear-group.ts';
import { addCases } from './add.ts';
import { appendRowsCases } from './append-rows.ts';
import { causalAttentionCases } from './causal-attention.ts';
import { copyCases } from './copy.ts';
import { dequantizeBlockwiseCases } from './dequantize-blockwise.ts';
import { dequantizeGgmlCases } from './dequantize-ggml.ts';
import { dropoutCases } from './dropout.ts';
import { embeddingCases } from './embedding.ts';
import { fillCases } from './fill.ts';
import { layerNormCases } from './layer-norm.ts';
import { linearCases } from './linear.ts';
import { linearArgmaxCases } from './linear-argmax.ts';
import { linearCrossEntropyCases } from './linear-cross-entropy.ts';
import { linearCrossEntropyTopKCases } from './linear-cross-entropy-top-k.ts';
import { linearDistillationCases } from './linear-distillation.ts';
import { lion8bitStepCases } from './lion-8bit-step.ts';
import { lionStepCases } from './lion-step.ts';
import { matmulNf4Cases } from './matmul-nf4.ts';
import { quantizeBlockwiseCases } from './quantize-blockwise.ts';
import { quantizeRowsCases } from './quantize-rows.ts';
import { quantizeScalesCases } from './quantize-scales.ts';
import { rmsNormCases } from './rms-norm.ts';
import { ropeCases } from './rope.ts';
import { scaleByCases } from './scale-by.ts';
import { softCapCases } from './soft-cap.ts';
import { splitColumnsCases } from './split-columns.ts';
import { sumOfSquaresCases } from './sum-of-squares.ts';

/** The cases of every op: what a new backend has to answer. */
export const ALL_CASES: readonly ConformanceCase[] = [
  ...activationCases,
  ...activationGateCases,
  ...adamw8bitStepCases,
  ...adamwStepCases,
  ...adaptedLinearCases,
  ...adaptedLinearGroupCases,
  ...addCases,
  ...appendRowsCases,
  ...causalAttentionCases,
  ...copyCases,
  ...dequantizeBlockwiseCases,
  ...dequantizeGgmlCases,
  ...dropoutCases,
  ...embeddingCases,
  ...fillCases,
  ...layerNormCases,
  ...linearCases,
  ...linearArgmaxCases,
  ...linearCrossEntropyCases,
  ...linearCrossEntropyTopKCases,
  ...linearDistillationCases,
  ...lion8bitStepCases,
  ...lionStepCases,
  ...matmulNf4Cases,
  ...quantizeBlockwiseCases,
  ...quantizeRowsCases,
  ...quantizeScalesCases,
  ...rmsNormCases,
  ...ropeCases,
  ...scaleByCases,
  ...softCapCases,
  ...splitColumnsCases,
  ...sumOfSquaresCases,
];
