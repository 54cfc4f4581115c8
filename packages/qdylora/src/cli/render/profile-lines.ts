import type { ProfileEvent } from '../../recipes/run-folder/finetune-events.ts';
import { columns } from './table.ts';

/** Rows that are shown; the others cost little. */
const SHOWN = 10;

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;

/** The costliest ops, the rate that each reaches, and its part of the peak of the machine. */
export function profileLines({ rows, steps, stepSeconds, outside, ceilings, file }: ProfileEvent): string[] {
  const shown = rows.slice(0, SHOWN);
  const otherShare = rows.slice(SHOWN).reduce((sum, { share }) => sum + share, 0);
  const lines = shown.map(({ op, shapes, calls, seconds, share, gflops, gbps, fraction }): string[] => [
    percent(share),
    `${((1000 * seconds) / steps).toFixed(1)} ms`,
    `${Math.round(calls / steps)}×`,
    gflops === null ? `${gbps!.toFixed(1)} GB/s` : `${gflops.toFixed(0)} GFLOP/s`,
    fraction === null ? '' : percent(fraction),
    `${op} ${shapes}`,
  ]);
  const machine = ceilings
    ? `; this machine: ${ceilings.gflops.toFixed(0)} GFLOP/s (float32), ` +
      `${ceilings.bf16Gflops.toFixed(0)} (bf16), ${ceilings.gbps.toFixed(0)} GB/s (copy)`
    : '';
  return [
    `profile of ${steps} steps, ${(stepSeconds / steps).toFixed(2)} s each${machine}`,
    ...columns(
      [['of step', 'a step', 'calls', 'reached', 'of ceiling', 'op'], ...lines],
      ['right', 'right', 'right', 'right', 'right', 'left'],
    ),
    `the other ${Math.max(0, rows.length - SHOWN)} ops ${percent(otherShare)}, outside of ops ` +
      `${percent(outside)}; the first calls one by one: ${file}`,
  ];
}
