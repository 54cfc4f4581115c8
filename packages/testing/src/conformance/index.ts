export {
  attentionAttributes,
  attentionInputs,
  backwardCall as attentionBackwardCall,
  forwardCall as attentionForwardCall,
  type AttentionSetting,
} from './cases/causal-attention.ts';
export { ALL_CASES } from './cases/index.ts';
export { arbitraryHead, arbitraryNearTies, arbitraryOutliers, type Head } from './cases/linear-argmax.ts';
export { boundFor as headBound, targetsOf as headTargets } from './cases/linear-cross-entropy.ts';
export { checkConformance, type ConformanceOptions } from './check-conformance.ts';
export { conformanceCase, type Capability, type ConformanceCase } from './conformance-case.ts';
export * from './adapted-operands.ts';
export * from './eight-bit-states.ts';
