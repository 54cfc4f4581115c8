export * from './fixtures/golden-cases.ts';
export * from './fixtures/read-safetensors.ts';
