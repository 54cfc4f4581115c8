export * from './fixtures/read-safetensors.ts';
