import { readFileSync } from 'node:fs';
import { ALL_CASES, type ConformanceCase } from '@qdylora/testing/conformance';
import { cudaOpNames } from '../src/index.ts';
import { callsOf, schedulesOf } from './schedules.ts';
import { SOURCES } from './sources.ts';

const TARGETS = ['compute_70', 'compute_75', 'compute_80'];

/** Calls of a case: by hand and random ones. */
function callCount(one: ConformanceCase): number {
  const { numRuns, withEdges } = callsOf(one);
  const edges = withEdges && one.edges ? [...one.edges()].length : 0;
  return edges + (one.random ? Math.min(numRuns, one.random.numRuns) : 0);
}

/** `12 × 2`: calls of an op on the PTX of a target, each so many times with other orders of the threads. */
function callsOn(target: string, cases: readonly ConformanceCase[]): string {
  const callsBySeeds = new Map<number, number>();
  for (const one of cases) {
    const schedule = schedulesOf(one).find((each) => each.target === target);
    if (!schedule) continue;
    const seeds = schedule.seeds.length;
    callsBySeeds.set(seeds, (callsBySeeds.get(seeds) ?? 0) + callCount(one));
  }
  const texts = [...callsBySeeds].map(([seeds, calls]) => (seeds === 1 ? `${calls}` : `${calls} × ${seeds}`));
  return texts.join(' + ') || '–';
}

/**
 * What is proved of each op without a GPU: calls of `npm test` on the PTX of each target, and the mutants of
 * its sources that a deep run caught, of those that are not explained.
 */
export function proofTable(): string {
  const mutants = new Map(
    readFileSync(new URL('mutants.tsv', import.meta.url), 'utf8')
      .trimEnd()
      .split('\n')
      .slice(1)
      .map((line) => line.split('\t'))
      .map(([source, , tried, caught, explained]) => [
        source,
        `${caught}/${Number(tried) - Number(explained)}`,
      ]),
  );
  const rows = [...cudaOpNames()].sort().map((name) => {
    const cases = ALL_CASES.filter(({ op, needs }) => op.name === name && needs !== 'large');
    const sources = Object.keys(SOURCES).filter((source) => SOURCES[source].includes(name));
    const caught = sources.map((source) => `${source} ${mutants.get(source) ?? '–'}`);
    return [
      name,
      ...TARGETS.map((target) => callsOn(target, cases)),
      caught.join(', ') || 'kernels of other ops',
    ];
  });
  const header = [
    'op',
    ...TARGETS.map((target) => `calls on ${target}`),
    'mutants caught, of those not explained',
  ];
  return [header, ...rows].map((row) => `${row.join('\t')}\n`).join('');
}
