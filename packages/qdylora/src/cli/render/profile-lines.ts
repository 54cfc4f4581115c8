import type { ProfileEvent } from '../../recipes/run-folder/finetune-events.ts';
import { columns } from './table.ts';

/** Rows that are shown: what is left to gain stands in them. */
const SHOWN = 10;

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;

/** The costliest ops, what they reach, and how far that is from what the machine can do. */
export function profileLines({ rows, steps, stepSeconds, outside, ceilings, file }: ProfileEvent): string[] {
  const shown = rows.slice(0, SHOWN);
  const rest = rows.slice(SHOWN).reduce((sum, { share }) => sum + share, 0);
  const lines = shown.map(({ op, shapes, calls, seconds, share, gflops, gbps, fraction }): string[] => [
    percent(share),
    `${((1000 * seconds) / steps).toFixed(1)} ms`,
    `${Math.round(calls / steps)}×`,
    gflops === null ? `${gbps!.toFixed(1)} GB/s` : `${gflops.toFixed(0)} GFLOP/s`,
    fraction === null ? '' : percent(fraction),
    `${op} ${shapes}`,
  ]);
  return [
    `profile of ${steps} steps, ${(stepSeconds / steps).toFixed(2)} s ` +
      `each${ceilings ? `; this machine: ${ceilings.gflops.toFixed(0)} GFLOP/s (float32), ` + `${ceilings.bf16Gflops.toFixed(0)} (bf16), ${ceilings.gbps.toFixed(0)} GB/s ` + `(copy)` : ''}`,
    ...columns(
      [['of step', 'a step', 'calls', 'reached', 'of ceiling', 'op'], ...lines],
      ['right', 'right', 'right', 'right', 'right', 'left'],
    ),
    `the other ${Math.max(0, rows.length - SHOWN)} ops ${percent(rest)}, outside of ops ` +
      `${percent(outside)}; the first calls one by one: ${file}`,
  ];
}
