import { createHash, type Hash } from 'node:crypto';
import * as nodeFs from 'node:fs';
import { dirname } from 'node:path';
import { QdyloraError } from '@qdylora/contract';
import { badFile } from '../bad-file.ts';
import { syncFolder } from '../write/sync-path.ts';
import { createFolder } from '../folder/create-folder.ts';
import { NODE_FILE_SYSTEM } from '../write/file-system.ts';
import { writeAll } from '../write/write-all.ts';
import { writeFailed } from '../write/write-failed.ts';
import { bodyOf, hubRequest, pause, requestedWait, type HubResponse } from './hub-request.ts';
import type { HubOptions } from './hub-options.ts';
import { claimPartial } from './partial-file.ts';

/**
 * A file as the hub lists it. `hash` is the SHA-256 of a large file, else git's SHA-1 of a blob; the cache
 * uses it as the file name.
 */
export interface HubFile {
  readonly name: string;
  readonly size: number;
  readonly hash: string;
}

/** A file to download, and the repository that has it. */
export interface Download {
  readonly url: string;
  readonly file: HubFile;
  readonly repository: string;
}

/** Number of tries; each continues where the last one stopped. */
const TRIES = 5;
const FIRST_WAIT_MS = 500;

/** Bytes hashed at a time for a partial file that already exists. */
const HASH_PIECE_BYTES = 2 ** 20;

/**
 * Downloads a file to `path` through a partial file beside it, and continues an earlier download. Size and
 * hash must match those of the hub. A second process that downloads the same file has its own partial file.
 *
 * @throws QdyloraError BAD_FILE for other bytes than listed (nothing is kept); NETWORK after five broken
 * tries (the partial file is kept for the next run); ACCESS_DENIED, MISSING_FILE, WRITE_FAILED.
 */
export async function downloadBlob(path: string, download: Download, options: HubOptions): Promise<void> {
  try {
    createFolder(dirname(path));
    const partial = claimPartial(path);
    try {
      await receiveAll(partial.path, download, options);
    } catch (cause) {
      partial.leave();
      throw cause;
    }
    nodeFs.renameSync(partial.path, path);
    syncFolder(dirname(path), NODE_FILE_SYSTEM);
  } catch (cause) {
    throw writeFailed(path, cause);
  }
}

/** Retries after a broken connection, with longer waits if the server asks for them. */
async function receiveAll(partial: string, download: Download, options: HubOptions): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      return await receive(partial, download, options);
    } catch (error) {
      options.signal?.throwIfAborted();
      if (!QdyloraError.isInstance(error) || error.code !== 'NETWORK' || tries === TRIES) throw error;
      await pause(options, Math.max(FIRST_WAIT_MS * 2 ** (tries - 1), requestedWait(error)));
    }
  }
}

/** One try: appends to the partial file, then checks the whole file. */
async function receive(partial: string, download: Download, options: HubOptions): Promise<void> {
  const { url, file, repository } = download;
  const { name, size } = file;
  const wrong = (expected: string, got: string): QdyloraError => {
    nodeFs.rmSync(partial, { force: true });
    return damaged(file, expected, got);
  };
  const fd = nodeFs.openSync(partial, nodeFs.constants.O_RDWR | nodeFs.constants.O_CREAT, 0o644);
  try {
    let hash = hashOf(file);
    let done = Math.min(nodeFs.fstatSync(fd).size, size);
    nodeFs.ftruncateSync(fd, done);
    hashPart(fd, done, hash);
    if (done < size || size === 0) {
      const answer = await requestRest(download, done, options);
      if (done > 0 && answer.response.status !== 206) {
        // the server starts over
        nodeFs.ftruncateSync(fd, (done = 0));
        hash = hashOf(file);
      }
      for await (const piece of bodyOf(answer, url, options.signal)) {
        if (done + piece.length > size) throw wrong(`${size} bytes`, 'more');
        writeAt(fd, piece, done);
        hash.update(piece);
        done += piece.length;
        options.onProgress?.({ repository, file: name, doneBytes: done, totalBytes: size });
      }
    }
    if (done < size)
      throw new QdyloraError('NETWORK', {
        where: 'hub',
        problem: `The connection ended after ${done} of the ${size} bytes of ${name}.`,
        nextStep: 'Run it again: the download resumes where it stopped.',
        details: { url, done, size },
      });
    const got = hash.digest('hex');
    if (got !== file.hash)
      throw wrong(`${file.hash.length === 64 ? 'SHA-256' : 'git hash'} ${file.hash}`, got);
    nodeFs.fsyncSync(fd);
  } catch (error) {
    if (QdyloraError.isInstance(error) && error.details.status === RANGE_REFUSED) nodeFs.ftruncateSync(fd, 0);
    throw error;
  } finally {
    nodeFs.closeSync(fd);
  }
}

/**
 * Requests the bytes from `done` on. A server that refuses the range, or sends another one, is an error of
 * status RANGE_REFUSED: the next try starts over.
 */
async function requestRest({ url, file }: Download, done: number, options: HubOptions): Promise<HubResponse> {
  const answer = await hubRequest(url, options, done > 0 ? { headers: { range: `bytes=${done}-` } } : {});
  const { response, listening } = answer;
  const part = response.headers.get('content-range') ?? 'none';
  if (response.status !== 206 || part.startsWith(`bytes ${done}-`)) return answer;
  listening.end();
  await response.body?.cancel();
  throw new QdyloraError('NETWORK', {
    where: 'hub',
    problem:
      `The hub was asked for the bytes of ${file.name} from ${done} on, but sent the part ` +
      `${part.slice(0, 80)}.`,
    nextStep: 'Run it again: it starts again from the first byte.',
    details: { url, status: RANGE_REFUSED },
  });
}

/** HTTP status for a range beyond the file. */
const RANGE_REFUSED = 416;

/** Hash of a file. Git hashes a header before the content. */
const hashOf = ({ hash, size }: HubFile): Hash =>
  hash.length === 64 ? createHash('sha256') : createHash('sha1').update(`blob ${size}\0`);

function hashPart(fd: number, length: number, hash: Hash): void {
  const piece = Buffer.alloc(Math.min(HASH_PIECE_BYTES, length));
  for (let at = 0; at < length;) {
    const got = nodeFs.readSync(fd, piece, 0, Math.min(piece.length, length - at), at);
    hash.update(piece.subarray(0, got));
    at += got;
  }
}

function writeAt(fd: number, bytes: Uint8Array, position: number): void {
  try {
    writeAll(fd, bytes, NODE_FILE_SYSTEM, position);
  } catch (cause) {
    throw new QdyloraError('WRITE_FAILED', {
      where: 'hub',
      problem: `The download cannot be written: ${(cause as Error).message}.`,
      nextStep: 'Free some space, or choose another cache folder: HF_HOME.',
      cause,
    });
  }
}

const damaged = ({ name }: HubFile, expected: string, got: string): QdyloraError =>
  badFile({
    format: 'hub',
    path: name,
    problem: `The download must have ${expected} (got ${got})`,
    nextStep:
      'The download is damaged and was removed. Run it again; if this repeats, a proxy between here and ' +
      'the hub changes files.',
  });
