import { createHostBackend, type Backend } from '@qdylora/contract';
import { classShaped } from '@qdylora/testing';
import { temporaryFolder } from '@qdylora/testing/node';
import { expect, it } from 'vitest';
import { numbersOf, tinyModel } from '../test/tiny-model.ts';
import { tinyOptions } from '../test/tiny-run.ts';
import { train, type Optimizer } from './index.ts';

const folder = temporaryFolder();

/** The adapter after a run that uses hooks, clipping, a deadline and checkpoints. */
async function trainedOn(
  name: string,
  backend: Backend,
  shapedOptimizer: (optimizer: Optimizer) => Optimizer,
): Promise<Float32Array[]> {
  const options = tinyOptions({ base: tinyModel(backend), totalSteps: 4, recompute: true });
  const optimizer = shapedOptimizer(options.optimizer);
  const signal = new AbortController().signal;
  const save = { folder: `${folder}/${name}`, every: 2 };
  await train({ ...options, optimizer, maxGradNorm: 0.5, signal, save }).result;
  return numbersOf(options.adapted.parameters());
}

it('a backend, its memory and an optimizer may be objects of classes', async () => {
  const plain = await trainedOn('plain', createHostBackend(), (optimizer) => optimizer);
  const { memory, ...members } = createHostBackend();
  const backend = classShaped({ ...members, memory: classShaped(memory) });
  expect(await trainedOn('shaped', backend, classShaped)).toEqual(plain);
});
