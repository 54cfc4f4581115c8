import { ALL_CASES, checkConformance } from '@qdylora/testing/conformance';
import { beforeAll, expect, test } from 'vitest';
import { cudaKernels, openCubins } from '../src/index.ts';
import type { BackendGroup } from '@qdylora/testing';
import { createEmulatedBackend } from './emulated-backend.ts';
import { openEmulator } from './emulator.ts';
import { callsOf, isDeep, schedulesOf, type Schedule } from './schedules.ts';

const emulator = await openEmulator();
const cubins = await openCubins();
const ptxFor = (target: string) => (source: string) =>
  Buffer.from(cubins.image(source, target)).toString('utf8');

const groupOf = ({ target, approximation, seeds }: Schedule): BackendGroup => ({
  label: `PTX of ${target}`,
  lacks: isDeep ? [] : ['large'],
  backends: seeds.map((seed) =>
    createEmulatedBackend({
      emulator: emulator!,
      ptxOf: ptxFor(target),
      seed,
      approximation,
      isSkewed: seed % 2 === 1,
    }),
  ),
});

const ops = new Set(
  cudaKernels({ launch: () => undefined, withScratch: () => undefined }).map(({ op }) => op.name),
);
const cases = ALL_CASES.filter(({ op }) => ops.has(op.name));

const groups = new Map<Schedule, BackendGroup>();
beforeAll(() => {
  for (const schedule of new Set(cases.flatMap(schedulesOf))) groups.set(schedule, groupOf(schedule));
});

for (const one of cases)
  test.skipIf(!emulator)(`${one.op.name} agrees with its reference ${one.title}`, () =>
    checkConformance(
      schedulesOf(one).map((schedule) => groups.get(schedule)!),
      [one],
      { ...callsOf(one), ...(!isDeep && { seed: 1 }) },
    ),
  );

test('there are cases of every op that has a kernel', () => {
  const covered = new Set(cases.map(({ op }) => op.name));
  expect([...ops].filter((name) => !covered.has(name))).toEqual([]);
  expect(ops.size).toBeGreaterThan(10);
});
