import { existsSync, readFileSync, symlinkSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { QdyloraError } from '@qdylora/contract';
import { createFolder } from '../folder/create-folder.ts';
import { writeFailed } from '../write/write-failed.ts';
import { writeFileDurably } from '../write/write-file-durably.ts';
import type { HubSource } from './hub-name.ts';

/**
 * `models--org--name` or `datasets--org--name` in the cache: `refs/<revision>` holds a commit,
 * `snapshots/<commit>/<file>` links to `blobs/<hash>`.
 */
export interface HubCache {
  /** The repository whose files are cached here. */
  readonly source: HubSource;
  readonly folder: string;
  blob(hash: string): string;
  snapshot(commit: string): string;
  /** The cached commit of a revision; null if there is none. */
  commitOf(revision: string): string | null;
  writeRef(revision: string, commit: string): void;
  /** Links a file of a snapshot to its blob. */
  link(commit: string, file: string, hash: string): void;
}

const COMMIT = /^[0-9a-f]{40}$/;
/** Largest ref file: a commit has 40 characters. */
const LARGEST_REF_BYTES = 1024;

export const isCommit = (text: string): boolean => COMMIT.test(text);

export function hubCache(cacheFolder: string, source: HubSource): HubCache {
  const { kind, repository } = source;
  const folder = join(cacheFolder, `${kind}--${repository.replaceAll('/', '--')}`);
  const refPath = (revision: string): string => join(folder, 'refs', revision);
  return {
    source,
    folder,
    blob: (hash) => join(folder, 'blobs', hash),
    snapshot: (commit) => join(folder, 'snapshots', commit),
    commitOf(revision) {
      if (isCommit(revision)) return existsSync(join(folder, 'snapshots', revision)) ? revision : null;
      const path = refPath(revision);
      const text = existsSync(path) ? readFileSync(path, 'utf8').slice(0, LARGEST_REF_BYTES).trim() : '';
      return isCommit(text) ? text : null;
    },
    writeRef(revision, commit) {
      if (isCommit(revision)) return;
      try {
        createFolder(dirname(refPath(revision)));
        writeFileDurably(refPath(revision), [Buffer.from(commit)]);
      } catch (cause) {
        throw writeFailed(refPath(revision), cause);
      }
    },
    link(commit, file, hash) {
      const path = join(folder, 'snapshots', commit, file);
      try {
        createFolder(dirname(path));
        symlinkSync(relative(dirname(path), join(folder, 'blobs', hash)), path);
      } catch (cause) {
        if ((cause as { code?: string }).code !== 'EEXIST' || !existsSync(path))
          throw new QdyloraError('WRITE_FAILED', {
            where: 'hub',
            problem: `${path} cannot be linked to its blob: ${(cause as Error).message}.`,
            nextStep: 'Choose another cache folder (HF_HOME) on a file system with links.',
            cause,
          });
      }
    },
  };
}
