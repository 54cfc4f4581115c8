import type { PreparedRun } from '../run/prepare-run.ts';
import { runPaths } from '../run-folder/output-folder.ts';
import type { RunReport } from './run-report.ts';

/** The command to try after a run. */
export function nextCommand(
  { outputDir, ranks, model }: PreparedRun,
  { smallestGoodRank }: Pick<RunReport, 'smallestGoodRank'>,
): string {
  const { adapter, model: trainedModel } = runPaths(outputDir);
  if (!ranks) return `npx qdylora generate --model ${trainedModel} --prompt "…"`;
  return smallestGoodRank === null
    ? `npx qdylora generate --model ${model} --adapter ${adapter} --rank ${ranks.at(-1)!} --prompt "…"`
    : `npx qdylora export --adapter ${adapter} --rank ${smallestGoodRank} --format peft --output-dir ` +
        `${outputDir}-r${smallestGoodRank}`;
}
