import { fileURLToPath } from 'node:url';
import { openCheckpoint } from '@qdylora/checkpoint';
import { createHostBackend, hostData } from '@qdylora/contract';
import { Linear, modulesOf, Parameter } from '@qdylora/tensor';
import { describe, expect, it } from 'vitest';
import { buildModel, type CausalLm, type LoadWorkers, type Quantization } from '../index.ts';

const FOLDER = fileURLToPath(new URL('../../fixtures/llama-bf16', import.meta.url));

/** Workers of one process. The n-th broadcasts of all of them belong together. */
function sendingWorkers(size: number): LoadWorkers[] {
  const meetings: { arrays: Uint8Array[]; settle: () => void; done: Promise<void> }[] = [];
  const meetingAt = (index: number) => {
    let settle = (): void => {};
    const done = new Promise<void>((resolve) => (settle = resolve));
    return (meetings[index] ??= { arrays: [], settle, done });
  };
  return Array.from({ length: size }, (_, rank) => {
    let next = 0;
    return {
      rank,
      size,
      async broadcast(values, root = 0) {
        const { arrays, settle, done } = meetingAt(next++);
        arrays[rank] = values;
        if (Object.keys(arrays).length === size) settle();
        await done;
        values.set(arrays[root]);
      },
    };
  });
}

/** The contents of every packed matrix: its arrays, and the numbers beside them. */
const contentsOf = (model: CausalLm): unknown[] =>
  modulesOf(model.modules).flatMap((layer) => {
    if (!(layer instanceof Linear) || layer.weight instanceof Parameter) return [];
    const { attributes, operands } = layer.weight;
    const arrays = Object.values(operands).flatMap((view) => (view ? [hostData(view).slice()] : []));
    return [layer.name, attributes, ...arrays];
  });

async function build(quantization: Quantization, workers: LoadWorkers | null) {
  using checkpoint = await openCheckpoint(FOLDER);
  let bytesRead = 0;
  const model = await buildModel(checkpoint, {
    backend: createHostBackend(),
    quantization,
    workers,
    onProgress: (bytes) => (bytesRead = bytes),
  });
  return { contents: contentsOf(model), bytesRead };
}

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
      sendingWorkers(size).map((workers) => build(quantization, workers)),
    ))
      expect(contents).toEqual(alone.contents);
  });

  it('is read in parts: each matrix by one worker', async () => {
    const alone = await build({ kind: 'nf4' }, null);
    const parts = await Promise.all(sendingWorkers(2).map((workers) => build({ kind: 'nf4' }, workers)));
    for (const { bytesRead } of parts) expect(bytesRead).toBeLessThan(alone.bytesRead);
  });

  it('fails on the worker that cannot quantize its part', async () => {
    const [first] = sendingWorkers(1);
    const broadcast = () => Promise.reject(new Error('lost'));
    await expect(build({ kind: 'nf4' }, { ...first, broadcast })).rejects.toThrow('lost');
  });
});
