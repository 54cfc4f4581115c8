import { createHostBackend } from '@qdylora/contract';
import { usableThreads } from '@qdylora/cpu-kernels';
import { expect, test } from 'vitest';
import { chooseBackend } from './choose-backend.ts';

test('more threads than processors are told, as many are not', async ({ skip }) => {
  const notes: string[] = [];
  const usable = usableThreads();
  const labels = [];
  for (const numThreads of [usable + 1, usable]) {
    using chosen = await chooseBackend('auto', {
      numThreads,
      warn: (message) => {
        notes.push(message);
      },
    });
    labels.push(chosen.label);
  }
  skip(labels[0].startsWith('host'), 'the C++ kernels do not load here');
  expect(notes).toEqual([
    expect.stringMatching(new RegExp(`^num_threads ${usable + 1} is more than the ${usable} processors? `)),
  ]);
});

test('the peak rates need the memory that is named for them, and 1 MB at most besides', async ({ skip }) => {
  using chosen = await chooseBackend('auto');
  skip(!chosen.label.startsWith('cpu'), 'the C++ kernels do not load here');
  chosen.ceilings();
  const { peakBytes } = chosen.backend.memory.usage();
  expect(peakBytes).toBeGreaterThanOrEqual(chosen.ceilingBytes);
  expect(peakBytes).toBeLessThan(chosen.ceilingBytes + 1e6);
});

test('a backend of the caller that was written for another contract is refused', async () => {
  const backend = { ...createHostBackend(), contractVersion: 7 };
  await expect(chooseBackend(backend)).rejects.toMatchObject({
    code: 'UNSUPPORTED',
    message: expect.stringMatching(/host was written for version 7 of .*, but this is version 1/) as string,
  });
});
