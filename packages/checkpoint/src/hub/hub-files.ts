import { existsSync } from 'node:fs';
import { QdyloraError } from '@qdylora/contract';
import { printedName } from '../bad-file.ts';
import { isRecord } from '../json/is-record.ts';
import { downloadBlob, type HubFile } from './download-blob.ts';
import { isCommit, type HubCache } from './hub-cache.ts';
import type { HubSource } from './hub-name.ts';
import type { HubOptions } from './hub-options.ts';
import { hubJson } from './hub-request.ts';

/** The files of a repository at one commit. */
export interface Listing {
  readonly commit: string;
  readonly files: ReadonlyMap<string, HubFile>;
}

/** @throws QdyloraError NETWORK, MISSING_FILE, ACCESS_DENIED */
export async function listFiles(
  { kind, repository, revision }: HubSource,
  options: HubOptions,
): Promise<Listing> {
  const address = `${options.endpoint}/api/${kind}/${repository}`;
  const url = `${address}/revision/${encodeURIComponent(revision)}?blobs=true`;
  const answer = await hubJson(url, options);
  const invalidAnswer = (missing: string): QdyloraError =>
    new QdyloraError('NETWORK', {
      where: 'hub',
      problem: `${url} did not answer with ${missing}.`,
      nextStep: 'Something between here and the hub answers in its place.',
      details: { url },
    });
  if (
    !isRecord(answer) ||
    typeof answer.sha !== 'string' ||
    !isCommit(answer.sha) ||
    !Array.isArray(answer.siblings)
  )
    throw invalidAnswer('a commit and a list of files');
  const files = new Map<string, HubFile>();
  for (const entry of answer.siblings as readonly unknown[]) {
    const file = fileOf(entry);
    if (!file) throw invalidAnswer('a name, a size and a hash for every file');
    files.set(file.name, file);
  }
  return { commit: answer.sha, files };
}

function fileOf(entry: unknown): HubFile | null {
  if (!isRecord(entry) || typeof entry.rfilename !== 'string') return null;
  const lfs = isRecord(entry.lfs) ? entry.lfs : null;
  const size = lfs?.size ?? entry.size;
  const hash = lfs?.sha256 ?? entry.blobId;
  if (
    !Number.isSafeInteger(size) ||
    (size as number) < 0 ||
    typeof hash !== 'string' ||
    !/^(?:[0-9a-f]{40}|[0-9a-f]{64})$/.test(hash)
  )
    return null;
  return { name: entry.rfilename, size: size as number, hash };
}

/** Downloads one file of a listing into the cache, unless it is cached. */
export function getterOf(
  { commit, files }: Listing,
  cache: HubCache,
  options: HubOptions,
): (file: string) => Promise<void> {
  const { kind, repository } = cache.source;
  return async (file) => {
    assertPlainPath(file);
    const listed = files.get(file);
    if (!listed)
      throw new QdyloraError('MISSING_FILE', {
        where: 'hub',
        problem: `There is no ${printedName(file)} in ${repository}.`,
        nextStep: 'The repository is not complete; choose another revision.',
        details: { file },
      });
    const address = kind === 'models' ? options.endpoint : `${options.endpoint}/${kind}`;
    const encodedPath = file.split('/').map(encodeURIComponent).join('/');
    if (!existsSync(cache.blob(listed.hash)))
      await downloadBlob(
        cache.blob(listed.hash),
        { url: `${address}/${repository}/resolve/${commit}/${encodedPath}`, file: listed, repository },
        options,
      );
    cache.link(commit, file, listed.hash);
  };
}

/** Checks a file name from the hub before it becomes a path. */
function assertPlainPath(file: string): void {
  const isPlain =
    file.length <= 1024 &&
    !/[\0\\]/.test(file) &&
    file.split('/').every((part) => part !== '' && part !== '.' && part !== '..');
  if (!isPlain)
    throw new QdyloraError('BAD_FILE', {
      where: 'hub',
      problem: `The file name ${printedName(file)} leads out of the repository.`,
      nextStep: 'Do not use this repository.',
      details: { file },
    });
}
