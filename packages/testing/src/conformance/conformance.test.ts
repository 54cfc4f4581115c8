import { createHostBackend, hostData, opsOf, type ArrayView, type Kernel } from '@qdylora/contract';
import * as loraDynamic from '@qdylora/lora-dynamic';
import * as quant from '@qdylora/quant';
import * as tensor from '@qdylora/tensor';
import { expect, test } from 'vitest';
import { createFakeDevice } from '../backends/fake-device.ts';
import { ALL_CASES } from './cases/index.ts';
import { checkConformance } from './check-conformance.ts';
import { checkKernel } from './check-kernel.ts';

const ops = opsOf(tensor, quant, loraDynamic);
const device = createFakeDevice({ ops, burst: 3 });
const groups = [
  { label: 'the fake device', backends: [device], lacks: ['large'] as const },
  {
    label: 'the host backend',
    backends: [createHostBackend()],
    lacks: ['large'] as const,
    mayFallBack: true,
  },
];

test('every op has a case', () => {
  const withCase = new Set(ALL_CASES.map(({ op }) => op.name));
  expect(ops.map(({ name }) => name).filter((name) => !withCase.has(name))).toEqual([]);
});

/** Cases with random calls that these backends can run. Calls by hand are for backends with fast kernels. */
const RUNNABLE = ALL_CASES.filter(({ random, needs }) => random && needs !== 'large');

for (const one of RUNNABLE) {
  test(`${one.op.name} agrees with its reference ${one.title}`, async () => {
    await checkConformance(groups, [one], { numRuns: 2, withEdges: false });
    expect(device.counts().hostAccesses).toBe(0);
  });
}

test('a kernel that is wrong, that is missing or that writes an input is found', async () => {
  const [{ op, random }] = ALL_CASES.filter((one) => one.op.name === 'scale-by') as [(typeof ALL_CASES)[0]];
  const call = random!.call({ size: 9, seed: 1 });
  const check = (kernel: Parameters<typeof hostWith>[0]) =>
    checkKernel(op, [{ label: 'a backend', backends: [hostWith(kernel)] }], call);
  const right: Kernel = (inputs, outputs) => op.reference(inputs, outputs, {});
  await expect(check(right)).resolves.toBeUndefined();
  await expect(check(undefined)).rejects.toThrow(/has no kernel/);
  await expect(check(() => {})).rejects.toThrow(/scale-by \(x f32 \[9\].*output y \[9\] at 0/);
  await expect(
    check((inputs, outputs, attributes) => {
      right(inputs, outputs, attributes);
      hostData(inputs.x as ArrayView<'f32'>)[3] = 7;
    }),
  ).rejects.toThrow(/an input was written/);
});

const hostWith = (kernel: Kernel | undefined) => ({ ...createHostBackend(), kernel: () => kernel });
