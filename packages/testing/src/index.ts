export * from './arbitraries/arrays.ts';
export * from './conformance/arbitraries.ts';
export * from './conformance/check-kernel.ts';
export * from './conformance/compare.ts';
export * from './conformance/tolerance.ts';
export * from './fixtures/golden-cases.ts';
export * from './fixtures/read-safetensors.ts';
export * from './readme/run-readme.ts';
