import { existsSync, readdirSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fetchDataset, isHubName } from '@qdylora/checkpoint';
import { QdyloraError } from '@qdylora/contract';
import { readRowValues, type RowValues } from '@qdylora/data';
import type { ReadSplit, TaskDefinition } from '@qdylora/eval';
import { hubSettings, type HubEnvironment } from '../../config/hub-settings.ts';
import type { Warn } from '../hooks.ts';

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
      const files = splitFilesIn(place, split);
      if (files.length === 0) continue;
      return readAll(files, signal);
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

function splitFilesIn(place: string, split: string): readonly string[] {
  if (!existsSync(place) || !statSync(place).isDirectory()) return [];
  const single = TYPES.map((type) => join(place, `${split}.${type}`)).find((file) => existsSync(file));
  if (single) return [single];
  return readdirSync(place)
    .filter((file) => file.startsWith(`${split}-`) && file.endsWith('.parquet'))
    .sort()
    .map((file) => join(place, file));
}

async function readAll(files: readonly string[], signal?: AbortSignal): Promise<RowValues[]> {
  const parts: RowValues[][] = [];
  for (const file of files) parts.push(await readRowValues(file, signal));
  return parts.flat();
}

export interface HubDataOptions {
  readonly signal?: AbortSignal;
  readonly tell?: Warn;
  /** Where the hub, its cache and its token are; the process's own by default. */
  readonly env?: HubEnvironment;
}

/**
 * Reads the splits of a task's data set from the hub by its name (`openai/gsm8k`), through the cache of
 * Hugging Face's libraries. Only the files of the split are downloaded, and code in a repository is never
 * run.
 *
 * @throws QdyloraError as `fetchDataset` and `readRowValues` do; MISSING_FILE for a split that is no file
 * there; BAD_CONFIG for one of several configurations or in several types of files
 */
export function readSplitOnHub(
  { name, datasetPath, datasetName, datasetKeys }: TaskDefinition,
  { signal, tell, env = process.env }: HubDataOptions,
): ReadSplit {
  const problem = (text: string): QdyloraError =>
    new QdyloraError('MISSING_FILE', {
      where: name,
      problem: text,
      nextStep: 'Give the rows as files: --task-data data.',
    });
  return async (split) => {
    if (datasetPath === null || !isHubName(datasetPath))
      throw problem(`The task names no data set of the hub (got ${datasetPath ?? 'none'})`);
    if (datasetKeys.length > 0)
      throw new QdyloraError('BAD_CONFIG', {
        where: name,
        problem: `\`${datasetKeys[0]}\` in \`dataset_kwargs\` is not supported for a data set of the hub.`,
        nextStep: 'Remove it, or give the rows as files: --task-data data.',
      });
    const options = { ...hubSettings(env), signal, onNotice: tell };
    let first: string | null = null;
    const isNeeded = (file: string): boolean => {
      if (!isSplitFile(file, split, datasetName)) return false;
      first ??= copyOf(file);
      // all files are looked at before one is downloaded
      if (copyOf(file) !== first)
        throw severalCopies(name, `${datasetPath} has the split ${split}`, [first, copyOf(file)]);
      return true;
    };
    const files = await fetchDataset(datasetPath, isNeeded, options);
    if (files.length === 0)
      throw problem(`${datasetPath} has no JSON or Parquet files of the split ${split} on the hub`);
    return readAll(files, signal);
  };
}

const folderOf = (file: string): string => (file.includes('/') ? file.slice(0, file.lastIndexOf('/')) : '');

/** Files of one folder and one type are parts of one copy of a split: `main/*.parquet`. */
const copyOf = (file: string): string =>
  `${file.includes('/') ? `${folderOf(file)}/` : ''}*${file.slice(file.lastIndexOf('.'))}`;

function severalCopies(where: string, problem: string, copies: readonly string[]): QdyloraError {
  const folders = [...new Set([...copies].map(folderOf))].filter((folder) => folder !== '').sort();
  const files = 'give the rows as files: --task-data data.';
  return new QdyloraError('BAD_CONFIG', {
    where,
    problem: `${problem} more than once on the hub: ${[...copies].sort().join(', ')}`,
    nextStep:
      folders.length > 1
        ? `Name the configuration in the task, \`dataset_name: ${folders[0]}\`, or ${files}`
        : `Choose one, and ${files}`,
    details: { copies: [...copies].sort(), folders },
  });
}

/** `main/test-00000-of-00001.parquet`, `data/test.jsonl`: the files of a split of one configuration. */
export function isSplitFile(file: string, split: string, configuration: string | null): boolean {
  const folder = folderOf(file);
  const isInPlace = configuration === null ? !folder.includes('/') : folder === configuration;
  const fileName = basename(file);
  const end = fileName.startsWith(split) ? fileName.slice(split.length) : '';
  return isInPlace && /^(-.*)?\.(jsonl|json|parquet)$/.test(end);
}
