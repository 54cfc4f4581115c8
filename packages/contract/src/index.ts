export * from './arena.ts';
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
} from './array-rule.ts';
export * from './array-view.ts';
export { assertUsable } from './assert-usable.ts';
export * from './backend.ts';
export * from './bfloat16.ts';
export * from './check-options.ts';
export * from './dry-backend.ts';
export * from './dry-memory.ts';
export * from './dtype.ts';
export * from './errors.ts';
export * from './float16.ts';
export * from './host-backend.ts';
export * from './host-memory.ts';
export * from './kernel.ts';
export * from './memory.ts';
export { nearestName } from './nearest-name.ts';
export * from './op.ts';
export * from './packed-weight.ts';
export * from './page-store.ts';
export type { RegionOptions } from './regions.ts';
export * from './repeated-call.ts';
export * from './rng.ts';
export * from './round-half-even.ts';
export * from './run-op.ts';
export { runReference } from './run-reference.ts';
export * from './shape.ts';
export * from './storage.ts';
export { shownValue } from './shown-value.ts';
