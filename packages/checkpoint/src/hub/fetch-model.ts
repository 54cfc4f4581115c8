import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { checkOptions, QdyloraError } from '@qdylora/contract';
import { isCompanionFile } from '../tokenizer/companion-file.ts';
import { INDEX_LIMITS } from '../json/json-limits.ts';
import { readJsonObject } from '../json/read-json-file.ts';
import { isRecord } from '../json/is-record.ts';
import { hubCache, isCommit, type HubCache } from './hub-cache.ts';
import { getterOf, listFiles, type Listing } from './hub-files.ts';
import { parseHubName, type HubName, type HubSource } from './hub-name.ts';
import { HUB_RULES, type HubOptions } from './hub-options.ts';

const INDEX = 'model.safetensors.index.json';
const WEIGHTS = 'model.safetensors';
const CONFIG = 'config.json';

/**
 * Downloads the needed files of a hub model into the cache that Hugging Face's libraries use. Cached files
 * are not downloaded again. Offline, or if the hub does not answer, the cached snapshot is used.
 *
 * @returns the snapshot's folder, for `openCheckpoint`
 * @throws QdyloraError BAD_ARGUMENT for an invalid name; MISSING_FILE if there is no such model, or offline
 * if it is not cached (the message says where it looked); ACCESS_DENIED, NETWORK, BAD_FILE, WRITE_FAILED;
 * UNSUPPORTED for a repository without safetensors or a single GGUF file.
 */
export async function fetchModel(text: string, options: HubOptions): Promise<string> {
  checkOptions('hub', options, HUB_RULES);
  const source: HubSource = { kind: 'models', ...parseHubName(text) };
  const cache = hubCache(options.cacheFolder, source);
  if (options.isOffline) return cachedSnapshot(text, cache, null);
  const cached = isCommit(source.revision) ? cache.commitOf(source.revision) : null;
  // a commit never changes
  if (cached !== null && isComplete(cache.snapshot(cached))) return cache.snapshot(cached);
  let listing: Listing;
  try {
    listing = await listFiles(source, options);
  } catch (error) {
    const cause = refusal(error);
    if (cause.code !== 'NETWORK') throw noModel(text, cache.folder, cause);
    const folder = cachedSnapshot(text, cache, cause);
    options.onNotice?.(
      `The hub does not answer (${cause.message}); the cached ${source.repository} is used: ${folder}`,
    );
    return folder;
  }
  await downloadAll(listing, cache, options);
  cache.writeRef(source.revision, listing.commit);
  return cache.snapshot(listing.commit);
}

/**
 * Downloads the `config.json` of a hub model without its weights, for plans.
 *
 * @returns path of the file in the cache
 * @throws QdyloraError as `fetchModel` does; MISSING_FILE for a repository without config.json
 */
export async function fetchConfig(text: string, options: HubOptions): Promise<string> {
  checkOptions('hub', options, HUB_RULES);
  const source: HubSource = { kind: 'models', ...parseHubName(text) };
  const cache = hubCache(options.cacheFolder, source);
  const cached = cache.commitOf(source.revision);
  const configPath = cached && join(cache.snapshot(cached), CONFIG);
  const cachedConfig = configPath !== null && existsSync(configPath) ? configPath : null;
  if (cachedConfig !== null && (options.isOffline || isCommit(source.revision))) return cachedConfig;
  if (options.isOffline) throw noModel(text, configPath ?? cache.folder, null);
  let listing: Listing;
  try {
    listing = await listFiles(source, options);
  } catch (error) {
    const cause = refusal(error);
    if (cause.code !== 'NETWORK' || cachedConfig === null) throw noModel(text, cache.folder, cause);
    options.onNotice?.(
      `The hub does not answer (${cause.message}); the cached file is used: ${cachedConfig}`,
    );
    return cachedConfig;
  }
  await getterOf(listing, cache, options)(CONFIG);
  // a whole model of an earlier commit stays the one that is used offline
  if (cached === null || !isComplete(cache.snapshot(cached))) cache.writeRef(source.revision, listing.commit);
  return join(cache.snapshot(listing.commit), CONFIG);
}

/** Returns an error of the hub that explains a missing model; throws any other error. */
function refusal(error: unknown): QdyloraError {
  if (QdyloraError.isInstance(error) && ['NETWORK', 'MISSING_FILE', 'ACCESS_DENIED'].includes(error.code))
    return error;
  throw error;
}

/** Explains why the hub was not asked, or did not return the model. */
function whyNot(cause: QdyloraError | null): string {
  switch (cause?.code) {
    case undefined:
      return 'downloads are off (HF_HUB_OFFLINE), so the hub was not asked for a model of that name';
    case 'MISSING_FILE':
      return 'the hub has no model of that name, or not at that revision';
    case 'ACCESS_DENIED':
      return 'the hub gives out no model of that name (it does not exist, is private or is gated)';
    default:
      return 'the hub cannot be reached to look for a model of that name';
  }
}

/** The error for a model that is no local folder, is not cached, and cannot be downloaded. */
function noModel(text: string, looked: string, cause: QdyloraError | null): QdyloraError {
  const where = existsSync(text) ? `${text} is not in the cache` : `There is no folder ${text} here`;
  return new QdyloraError(cause && cause.code !== 'NETWORK' ? cause.code : 'MISSING_FILE', {
    where: 'hub',
    problem: `${where}, and ${whyNot(cause)}.`,
    nextStep:
      cause && cause.code !== 'NETWORK'
        ? cause.nextStep
        : `Check the path. A model of the hub must be downloaded once with a connection; there is none in ` +
          `${looked} (HF_HOME names another cache).${cause ? ` The hub: ${cause.message}` : ''}`,
    details: { ...cause?.details, model: text, looked },
    cause: cause ?? undefined,
  });
}

/** The cached model, if the hub was not asked or did not answer. */
function cachedSnapshot(text: string, cache: HubCache, cause: QdyloraError | null): string {
  const commit = cache.commitOf(cache.source.revision);
  const folder = commit && cache.snapshot(commit);
  if (folder === null) throw noModel(text, cache.folder, cause);
  if (isComplete(folder)) return folder;
  throw new QdyloraError('MISSING_FILE', {
    where: 'hub',
    problem: `The cache has only a part of ${text}, and ${whyNot(cause)}.`,
    nextStep:
      `Run it again with a connection: the download into ${folder} continues.` +
      (cause ? ` The hub: ${cause.message}` : ''),
    details: { model: text, looked: folder },
    cause: cause ?? undefined,
  });
}

/** True if config and all weights are present: a download may have stopped between two files. */
function isComplete(folder: string): boolean {
  const has = (file: string): boolean => existsSync(join(folder, file)); // false for a dangling link
  if (existsSync(folder) && readdirSync(folder).some((file) => file.endsWith('.gguf') && has(file)))
    return true;
  if (!has(CONFIG)) return false;
  return has(INDEX) ? shardsIn(folder).every(has) : has(WEIGHTS);
}

/** Shard names in an index. */
function shardsIn(folder: string): string[] {
  const map = readJsonObject(join(folder, INDEX), 'shard-index', INDEX_LIMITS).weight_map;
  return isRecord(map)
    ? [...new Set(Object.values(map).filter((file): file is string => typeof file === 'string'))]
    : [];
}

/** Downloads small files first, so that a wrong model is found early, and an index before its shards. */
async function downloadAll(listing: Listing, cache: HubCache, options: HubOptions): Promise<void> {
  const { commit, files } = listing;
  const get = getterOf(listing, cache, options);
  const ggufs = [...files.keys()].filter((file) => /^[^/]+\.gguf$/.test(file));
  const hasSafetensors = files.has(WEIGHTS) || files.has(INDEX);
  if (!hasSafetensors && ggufs.length !== 1) throw noWeights(cache.source, ggufs);
  for (const file of [...(files.has(CONFIG) ? [CONFIG] : []), ...[...files.keys()].filter(isCompanionFile)])
    await get(file); // no code
  if (!hasSafetensors) return get(ggufs[0]);
  if (files.has(WEIGHTS)) return get(WEIGHTS);
  await get(INDEX);
  for (const shard of shardsIn(cache.snapshot(commit))) await get(shard);
}

const noWeights = ({ repository }: HubName, ggufs: readonly string[]): QdyloraError =>
  new QdyloraError('UNSUPPORTED', {
    where: 'hub',
    problem:
      `${repository} must have ${WEIGHTS}, its index or a single .gguf file (got ` +
      (ggufs.length > 0 ? `${ggufs.length} GGUF files (${ggufs.slice(0, 8).join(', ')})` : 'none of them') +
      ').',
    nextStep:
      ggufs.length > 0
        ? 'Download the one that you mean, and name the file.'
        : 'Choose a repository with safetensors: a .bin file can run code when it is read.',
    details: { repository, ggufs },
  });
