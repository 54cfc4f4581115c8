export * from './adapter/adapted.ts';
export * from './adapter/adapter-config.ts';
export * from './adapter/adapter-state.ts';
export * from './adapter/attach-dylora.ts';
export { allocateRanks, rowBytes, type RankedLayer } from './budgets/allocate-ranks.ts';
export { gainsOfRows, type RowFisher } from './budgets/gains-of-rows.ts';
export {
  observeInputs,
  observeProjections,
  type InputMoments,
  type InputObserver,
  type InputSums,
} from './budgets/observe-inputs.ts';
export { sortByMoments, type SortedLayer } from './budgets/sort-by-moments.ts';
export * from './layers/dylora-linear.ts';
export * from './layers/grouped-linear.ts';
export {
  anchorLevel,
  LEVEL_SCHEDULES,
  levelSampler,
  type LevelSampler,
  type LevelSamplerOptions,
  type LevelSchedule,
} from './levels/level-sampler.ts';
export { modelAtLevel, quantizationLevelsOf } from './levels/model-at-level.ts';
export { mixRows } from './linear-algebra/mix-rows.ts';
export { orthonormalRows } from './linear-algebra/orthonormal-rows.ts';
export { rowSpace, type RowSpace } from './linear-algebra/row-space.ts';
export * from './adapter/initialize.ts';
export * from './slices/merge-at-rank.ts';
export * from './ops/adapted-linear.ts';
export * from './ops/adapted-linear-group.ts';
export * from './ops/rank-parts.ts';
export * from './ranks/rank-distribution.ts';
export * from './ranks/rank-sampler.ts';
export * from './ranks/rank-set.ts';
export * from './slices/resort-by-svd.ts';
export * from './ranks/scaling.ts';
export * from './slices/slice-rank.ts';
export { sortLayerRows, sortRows, type RowMix, type SortedRows } from './slices/sort-rows.ts';
export * from './slices/slice-state.ts';
export * from './ranks/update-rule.ts';
