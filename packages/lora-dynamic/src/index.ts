export type {
  AdaptableModel,
  Adapted,
  AttachReport,
  LevelOptions,
  RankView,
  TokensAtRank,
} from './adapter/adapted.ts';
export type { AdapterConfig, ResolvedAdapterConfig, TargetModules } from './adapter/adapter-config.ts';
export type { AdapterLayer, AdapterState } from './adapter/adapter-state.ts';
export { attachDyLora, matcherOf } from './adapter/attach-dylora.ts';
export { allocateRanks, rowBytes, type RankedLayer } from './budgets/allocate-ranks.ts';
export { gainsOfRows, type RowFisher } from './budgets/gains-of-rows.ts';
export {
  observeInputs,
  observeProjections,
  type InputObserver,
  type InputSums,
} from './input-moments/observe-inputs.ts';
export { sortByMoments, type SortedLayer } from './input-moments/sort-by-moments.ts';
export { DyLoraLinear } from './layers/dylora-linear.ts';
export { groupFrozenLayers } from './layers/grouped-linear.ts';
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
export {
  addAdapterInPlace,
  mergeAtRank,
  mergeLayerAtRank,
  type MergedLayer,
} from './slices/merge-at-rank.ts';
export {
  adaptedLinear,
  adaptedLinearBackward,
  type AdaptedAttributes,
  type AdaptedBackwardAttributes,
  type BaseNames,
  type BaseOperands,
} from './ops/adapted-linear.ts';
export {
  adaptedLinearGroup,
  adaptedLinearGroupBackward,
  GROUP_NAMES,
  groupRank,
  LAYER_NAMES,
  layerOperands,
  withLayerNumber,
  type GroupAttributes,
  type GroupBackwardAttributes,
  type GroupLayer,
  type LayerNames,
  type LayerOperands,
} from './ops/adapted-linear-group.ts';
export type { RankPart } from './ops/rank-parts.ts';
export { RANK_DISTRIBUTIONS, rankProbabilities, type RankDistribution } from './ranks/rank-distribution.ts';
export {
  DISTILLATION_STUDENTS,
  RANK_SCHEDULES,
  rankSampler,
  type Distillation,
  type DistillationStudent,
  type RankSampler,
  type RankSamplerOptions,
  type RankSchedule,
} from './ranks/rank-sampler.ts';
export { LARGEST_RANK, powersOfTwoUpTo, rankSet, type RankSet } from './ranks/rank-set.ts';
export { truncateBySvd } from './slices/truncate-by-svd.ts';
export { FLAT_SCALINGS, peftScaling, RANK_SCALINGS, scaleAt, type RankScaling } from './ranks/scaling.ts';
export {
  adapterStateOf,
  sliceLayer,
  sliceRank,
  transposed,
  type SlicedAdapter,
  type SlicedLayer,
} from './slices/slice-rank.ts';
export { sortLayerRows, sortRows, type RowMix, type SortedRows } from './slices/sort-rows.ts';
export { slicedAlpha, sliceState } from './slices/slice-state.ts';
export { trainedRows, trainFrom, UPDATE_RULES, updatedRows, type UpdateRule } from './ranks/update-rule.ts';
