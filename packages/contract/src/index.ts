export { snakeCase, snakeCased } from './json/snake-cased.ts';
export { createArena, type ArenaOptions, type Arena } from './memory/arena.ts';
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
export {
  assertDtype,
  viewOf,
  f32View,
  i32View,
  hostData,
  rowsOf,
  partOf,
  reshaped,
  byteLengthOf,
  type ArrayView,
  type FloatView,
  type Arrays,
  type ArraySpec,
} from './arrays/array-view.ts';
export { assertUsable } from './ops/assert-usable.ts';
export {
  CONTRACT_VERSION,
  wrapBackend,
  type OpCall,
  type Backend,
  type RecordOptions,
  type Recording,
  type BackendLayer,
} from './backends/backend.ts';
export {
  toBfloat16,
  fromBfloat16,
  roundToBfloat16,
  bfloat16Array,
  float32FromBfloat16,
} from './numbers/bfloat16.ts';
export {
  optionRule,
  numberWithin,
  wholeNumber,
  trueOrFalse,
  someText,
  someFunction,
  anyValue,
  oneOf,
  objectWith,
  abortSignal,
  orNull,
  either,
  required,
  checkOptions,
  type OptionRule,
  type OptionRules,
  type NumberRange,
} from './errors/check-options.ts';
export { constantsOf } from './memory/constants-of.ts';
export { createDryBackend, type DryBackend, type DryBackendOptions } from './backends/dry-backend.ts';
export { createDryMemory, shapeOnly, type DryMemory, type DryMemoryOptions } from './memory/dry-memory.ts';
export {
  FLOAT_DTYPES,
  DTYPE_BYTES,
  isFloatDType,
  isDType,
  isElementArray,
  typedArray,
  type DType,
  type FloatDType,
  type HalfDType,
  type DataOf,
} from './arrays/dtype.ts';
export { assertContractVersion } from './backends/assert-contract-version.ts';
export { assertFloatDtype, floatDtypesOf } from './backends/float-dtypes.ts';
export {
  QdyloraError,
  errorMessage,
  withNextStep,
  withParts,
  InsufficientMemoryError,
  DisposedError,
  MissingKernelError,
  UnsupportedArchitectureError,
  badArgument,
  assertArgument,
  type ErrorCode,
  type ErrorParts,
} from './errors/errors.ts';
export {
  LARGEST_FLOAT16,
  fromFloat16,
  float32FromFloat16,
  toFloat16,
  float16Array,
} from './numbers/float16.ts';
export { isHalfDType, halfReader, widenHalves, narrowHalves, rounderTo } from './numbers/half-types.ts';
export { createHostBackend } from './backends/host-backend.ts';
export { createHostMemory, type HostMemoryOptions } from './memory/host-memory.ts';
export { bindKernel, kernelTable, type Kernel, type BoundKernel } from './ops/kernel.ts';
export type { MemoryUsage, NumberList, Memory } from './memory/memory.ts';
export { nearestName } from './errors/nearest-name.ts';
export { defineOp, type SpecsOf, type Op } from './ops/op.ts';
export { opsOf } from './ops/ops-of.ts';
export type { PackedWeight } from './ops/packed-weight.ts';
export type { PageArrival, PageDeparture, PageStore } from './memory/page-store.ts';
export type { PartUsage } from './memory/part-counter.ts';
export type { RegionOptions } from './memory/regions.ts';
export { scratchIn } from './memory/scratch-in.ts';
export { wrapMemory } from './memory/wrap-memory.ts';
export { canRecord, repeatedCall, type RepeatedCall } from './backends/repeated-call.ts';
export { philox2x32, createRng, shuffledIndices, type Rng } from './numbers/rng.ts';
export { roundHalfEven } from './numbers/round-half-even.ts';
export { runOp, prepareOp, type PreparedCall } from './ops/run-op.ts';
export { runReference } from './ops/run-reference.ts';
export { isSize, elementCount, sameShape, shapeText, assertShape, type Shape } from './arrays/shape.ts';
export {
  HOST_SPACE,
  HostStorage,
  ShapeStorage,
  type AddressSpace,
  type Allocation,
  type Storage,
} from './arrays/storage.ts';
export { shownValue } from './errors/shown-value.ts';
