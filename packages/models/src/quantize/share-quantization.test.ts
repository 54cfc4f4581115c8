import { fileURLToPath } from 'node:url';
import { openCheckpoint } from '@qdylora/checkpoint';
import { localWorld } from '@qdylora/collectives';
import { createHostBackend, hostData } from '@qdylora/contract';
import { Linear, modulesOf, Parameter } from '@qdylora/tensor';
import { describe, expect, it } from 'vitest';
import { buildModel, type CausalLm, type LoadWorkers, type Quantization } from '../index.ts';

const FOLDER = fileURLToPath(new URL('../../fixtures/llama-bf16', import.meta.url));

/** The contents of every packed matrix: its arrays, and the numbers beside them. */
const contentsOf = (model: CausalLm): unknown[] =>
  modulesOf(model.modules).flatMap((layer) => {
    if (!(layer instanceof Linear) || layer.weight instanceof Parameter) return [];
    const { attributes, operands } = layer.weight;
    const arrays = Object.values(operands).flatMap((view) => (view ? [hostData(view).slice()] : []));
    return [layer.name, attributes, ...arrays];
  });

async function build(quantization: Quantization, workers: LoadWorkers | null, folder = FOLDER) {
  using checkpoint = await openCheckpoint(folder);
  let bytesRead = 0;
  const model = await buildModel(checkpoint, {
    backend: createHostBackend(),
    quantization,
    workers,
    onProgress: (bytes) => (bytesRead = bytes),
  });
  const storedBytes = [...checkpoint.tensors.values()].reduce((sum, { byteLength }) => sum + byteLength, 0);
  return { contents: contentsOf(model), bytesRead, storedBytes };
}

it.each(['llama-bf16', 'llama-nf4-double-bf16'])(
  'all bytes of %s are reported as they are read',
  async (name) => {
    const folder = fileURLToPath(new URL(`../../fixtures/${name}`, import.meta.url));
    const { bytesRead, storedBytes } = await build({ kind: 'nf4' }, null, folder);
    expect(bytesRead).toBe(storedBytes);
  },
);

describe('a model that several workers load', () => {
  it.each<[number, Quantization]>([
    [1, { kind: 'nf4' }],
    [2, { kind: 'nf4' }],
    [3, { kind: 'nf4', doubleQuantization: false }],
    [3, { kind: 'fp4', blockSize: 32 }],
    [2, { kind: 'nf4', levels: [3, 4] }],
  ])('has the bits of one process on %i of them: %o', async (size, quantization) => {
    const alone = await build(quantization, null);
    expect(alone.contents.length).toBeGreaterThan(0);
    for (const { contents } of await Promise.all(
      localWorld(size).map((workers) => build(quantization, workers)),
    ))
      expect(contents).toEqual(alone.contents);
  });

  it('is read in parts: each matrix by one worker', async () => {
    const alone = await build({ kind: 'nf4' }, null);
    const parts = await Promise.all(localWorld(2).map((workers) => build({ kind: 'nf4' }, workers)));
    for (const { bytesRead } of parts) expect(bytesRead).toBeLessThan(alone.bytesRead);
  });

  it('fails on the worker that cannot quantize its part', async () => {
    const [first] = localWorld(1);
    const broadcast = () => Promise.reject(new Error('lost'));
    await expect(build({ kind: 'nf4' }, { ...first, broadcast })).rejects.toThrow('lost');
  });
});
