export * from './json/snake-cased.ts';
export * from './memory/arena.ts';
export {
  assertTaken,
  f32Array,
  floatArray,
  i32Array,
  namedRules,
  optional,
  u8Array,
  type ArrayRule,
  type NamedRule,
} from './ops/array-rule.ts';
export * from './arrays/array-view.ts';
export { assertUsable } from './ops/assert-usable.ts';
export * from './backends/backend.ts';
export * from './numbers/bfloat16.ts';
export * from './errors/check-options.ts';
export { constantsOf } from './memory/constants-of.ts';
export * from './backends/dry-backend.ts';
export * from './memory/dry-memory.ts';
export * from './arrays/dtype.ts';
export { assertFloatDtype, floatDtypesOf } from './backends/float-dtypes.ts';
export * from './errors/errors.ts';
export * from './numbers/float16.ts';
export * from './numbers/half-types.ts';
export * from './backends/host-backend.ts';
export * from './memory/host-memory.ts';
export * from './ops/kernel.ts';
export * from './memory/memory.ts';
export { nearestName } from './errors/nearest-name.ts';
export * from './ops/op.ts';
export { opsOf } from './ops/ops-of.ts';
export * from './ops/packed-weight.ts';
export * from './memory/page-store.ts';
export type { PartUsage } from './memory/part-counter.ts';
export type { RegionOptions } from './memory/regions.ts';
export { scratchIn } from './memory/scratch-in.ts';
export * from './backends/repeated-call.ts';
export * from './numbers/rng.ts';
export * from './numbers/round-half-even.ts';
export * from './ops/run-op.ts';
export { runReference } from './ops/run-reference.ts';
export * from './arrays/shape.ts';
export * from './arrays/storage.ts';
export { shownValue } from './errors/shown-value.ts';
