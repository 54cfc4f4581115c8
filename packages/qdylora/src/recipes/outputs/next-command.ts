import type { PreparedRun } from '../run/prepare-run.ts';
import { shellCommand } from './shell-command.ts';
import { besideFolder } from '../run-folder/beside-folder.ts';
import { runPaths } from '../run-folder/output-folder.ts';
import type { RunReport } from './run-report.ts';

/** The command to try after a run. */
export function nextCommand(
  { outputDir, ranks, model }: PreparedRun,
  { smallestGoodRank }: Pick<RunReport, 'smallestGoodRank'>,
): string {
  const { adapter, model: trainedModel } = runPaths(outputDir);
  if (!ranks) return `${shellCommand(['generate', '--model', trainedModel])} --prompt "…"`;
  if (smallestGoodRank !== null) return exportCommand(adapter, smallestGoodRank, outputDir);
  const words = ['generate', ...(model ? ['--model', model] : []), '--adapter', adapter];
  return `${shellCommand([...words, '--rank', String(ranks.at(-1))])} --prompt "…"`;
}

/** The command that exports one rank of an adapter beside `place`. */
export function exportCommand(adapter: string, rank: number, place: string): string {
  const words = ['export', '--adapter', adapter, '--rank', String(rank), '--format', 'peft'];
  return shellCommand([...words, '--output-dir', besideFolder(place, `-r${rank}`)]);
}
