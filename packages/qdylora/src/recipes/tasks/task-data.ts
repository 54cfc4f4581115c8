import { existsSync, readdirSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { QdyloraError } from '@qdylora/contract';
import { readRowValues } from '@qdylora/data';
import type { ReadSplit, TaskDefinition } from '@qdylora/eval';

const TYPES = ['jsonl', 'json', 'parquet'] as const;

/**
 * Reads the splits of a task's data set from a folder.
 *
 * A split is `<split>.jsonl`, `.json` or `.parquet`, or all of `<split>-*.parquet`. It is looked for in the
 * subfolder of the data set (`gsm8k`, `openai/gsm8k`) or of the task, in each also in that of the
 * configuration (`gsm8k/main`), then in the folder itself.
 *
 * @throws QdyloraError MISSING_FILE, which says where it looked; whatever `readRowValues` throws
 */
export function readSplitIn(folder: string, task: TaskDefinition, signal?: AbortSignal): ReadSplit {
  const places = placesOf(folder, task);
  return async (split) => {
    for (const place of places) {
      const files = filesOf(place, split);
      if (files.length === 0) continue;
      const parts = [];
      for (const file of files) parts.push(await readRowValues(file, signal));
      return parts.flat();
    }
    throw new QdyloraError('MISSING_FILE', {
      where: task.name,
      problem: `There is no file of the split ${split} in ${folder}`,
      nextStep:
        `Put ${split}.jsonl or ${split}.parquet of ${task.datasetPath ?? task.name} into ` +
        `${places.length > 1 ? places[0] : folder}.`,
      details: { split, places },
    });
  };
}

function placesOf(folder: string, { name, datasetPath, datasetName }: TaskDefinition): readonly string[] {
  const dataset = datasetPath === null ? [] : [datasetPath, basename(datasetPath)];
  const roots = [...dataset.reverse(), name].map((inside) => join(folder, inside));
  return [...roots, folder].flatMap((root) =>
    datasetName === null ? [root] : [join(root, datasetName), root],
  );
}

function filesOf(place: string, split: string): readonly string[] {
  if (!existsSync(place) || !statSync(place).isDirectory()) return [];
  const single = TYPES.map((type) => join(place, `${split}.${type}`)).find((file) => existsSync(file));
  if (single) return [single];
  return readdirSync(place)
    .filter((file) => file.startsWith(`${split}-`) && file.endsWith('.parquet'))
    .sort()
    .map((file) => join(place, file));
}
