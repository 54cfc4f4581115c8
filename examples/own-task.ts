// A task of your own: YAML in the format of lm-evaluation-harness, and rows in JSON lines.
//   npx tsx examples/own-task.ts --model models/smollm2 --adapter runs/smol/adapter
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { evaluateTasks, type EvaluateTasksOptions, type TaskRow } from 'qdylora';

const folder = new URL('own-task/', import.meta.url);

/** Accuracies of every rank of an adapter and of the base, or of a model alone. */
export async function judgeOwnTask(
  options: EvaluateTasksOptions,
  say: (...line: unknown[]) => void = console.log,
): Promise<readonly TaskRow[]> {
  const tasks = [fileURLToPath(new URL('quiz.yaml', folder))];
  const { results } = await evaluateTasks({ tasks, taskData: fileURLToPath(folder), ...options });
  for (const { rank, metric, value, standardError } of results)
    say(rank === null ? 'base' : `rank ${rank}`, metric, value, '±', standardError);
  return results;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const { values } = parseArgs({ options: { model: { type: 'string' }, adapter: { type: 'string' } } });
  await judgeOwnTask(values);
}
