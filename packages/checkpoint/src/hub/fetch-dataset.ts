import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { checkOptions, QdyloraError } from '@qdylora/contract';
import { hubCache } from './hub-cache.ts';
import { getterOf, listFiles } from './hub-files.ts';
import { parseHubName, type HubSource } from './hub-name.ts';
import { HUB_RULES, type HubOptions } from './hub-options.ts';

/**
 * Downloads files of a data set of the hub into the cache that Hugging Face's libraries use. Cached files are
 * not downloaded again. Offline, or if the hub does not answer, the cached files are used.
 *
 * @param isNeeded chooses files by their paths in the repository; if it chooses none, nothing is downloaded
 * @returns the paths in the cache, sorted
 * @throws QdyloraError BAD_ARGUMENT for an invalid name; MISSING_FILE if there is no such data set, or
 * offline if none of its files is cached; ACCESS_DENIED, NETWORK, BAD_FILE, WRITE_FAILED
 * @example
 * await fetchDataset('openai/gsm8k', (file) => file.startsWith('main/test-'), options);
 */
export async function fetchDataset(
  text: string,
  isNeeded: (file: string) => boolean,
  options: HubOptions,
): Promise<string[]> {
  checkOptions('hub', options, HUB_RULES);
  const source: HubSource = { kind: 'datasets', ...parseHubName(text) };
  const cache = hubCache(options.cacheFolder, source);
  const cachedFiles = (): string[] => {
    const commit = cache.commitOf(source.revision);
    if (commit === null) return [];
    const files = filesIn(cache.snapshot(commit)).filter(isNeeded);
    assertWhole(files, text);
    return files.map((file) => join(cache.snapshot(commit), file));
  };
  if (options.isOffline) return assertSome(cachedFiles(), text, null);
  let listing;
  try {
    listing = await listFiles(source, options);
  } catch (error) {
    if (!QdyloraError.isInstance(error) || error.code !== 'NETWORK') throw error;
    const files = assertSome(cachedFiles(), text, error);
    options.onNotice?.(`The hub does not answer (${error.message}); the cached rows of ${text} are used.`);
    return files;
  }
  const needed = [...listing.files.keys()].filter(isNeeded).sort();
  const get = getterOf(listing, cache, options);
  for (const file of needed) await get(file);
  if (needed.length > 0) cache.writeRef(source.revision, listing.commit);
  return needed.map((file) => join(cache.snapshot(listing.commit), file));
}

/** Paths of all files in a folder, relative to it, sorted; without links that lead nowhere. */
const filesIn = (folder: string): string[] =>
  existsSync(folder)
    ? readdirSync(folder, { recursive: true, encoding: 'utf8' })
        .map((file) => file.replaceAll('\\', '/'))
        .filter((file) => existsSync(join(folder, file)))
        .sort()
    : [];

/**
 * Files of a split are numbered, `train-00000-of-00002.parquet`; in some data sets a hash follows.
 *
 * @throws QdyloraError MISSING_FILE
 */
function assertWhole(files: readonly string[], dataset: string): void {
  const cachedParts = new Map<string, number>();
  for (const file of files) {
    const [, split, count] = /^(.*-)\d{5}-of-(\d{5})/.exec(file) ?? [];
    if (split === undefined) continue;
    const name = `${split}*-of-${count}`;
    cachedParts.set(name, (cachedParts.get(name) ?? 0) + 1);
  }
  for (const [name, count] of cachedParts) {
    const partCount = Number(name.slice(-5));
    if (count >= partCount) continue;
    throw new QdyloraError('MISSING_FILE', {
      where: 'hub',
      problem: `The cache has only ${count} of the ${partCount} files ${name} of the data set ${dataset}`,
      nextStep: 'Run it once with a connection, or give its rows as files.',
      details: { dataset, files: name, count, partCount },
    });
  }
}

/** @param cause why the hub did not answer; null if it was not asked */
function assertSome(files: string[], text: string, cause: QdyloraError | null): string[] {
  if (files.length > 0) return files;
  const reason = cause ? 'the hub cannot be reached' : 'downloads are off (HF_HUB_OFFLINE)';
  throw new QdyloraError('MISSING_FILE', {
    where: 'hub',
    problem: `The data set ${text} is not in the cache, and ${reason}`,
    nextStep: 'Run it once with a connection, or give its rows as files.',
    details: { dataset: text },
    cause: cause ?? undefined,
  });
}
