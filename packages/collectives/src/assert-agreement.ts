import { QdyloraError } from '@qdylora/contract';
import type { Communicator } from './communicator.ts';
import { gatherTexts } from './gather-texts.ts';

/**
 * Checks that all workers have the same values: of another version, file or option, a worker would compute
 * something else, and nobody would notice. All workers call it with the same names.
 *
 * @throws QdyloraError COLLECTIVE_FAILED on every worker, with the first value that differs
 * @example
 * await assertAgreement(world, { version: '0.1.0', rows: fingerprint });
 */
export async function assertAgreement(
  world: Pick<Communicator, 'rank' | 'size' | 'allGather'>,
  values: Readonly<Record<string, string>>,
): Promise<void> {
  const texts = await gatherTexts(world, JSON.stringify(values));
  const [first, ...others] = texts.map((text) => JSON.parse(text) as Record<string, string>);
  others.forEach((other, index) => {
    const name = Object.keys({ ...first, ...other }).find((key) => first[key] !== other[key]);
    if (name === undefined) return;
    throw new QdyloraError('COLLECTIVE_FAILED', {
      where: `worker ${index + 1} of ${world.size}`,
      problem:
        `The ${name} of this worker is ${other[name] ?? 'missing'}, ` +
        `but that of worker 0 is ${first[name] ?? 'missing'}`,
      nextStep: 'Start the same program with the same options and files on all workers.',
      details: { name, worker: index + 1, isAgreed: true },
    });
  });
}
