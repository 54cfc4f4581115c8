import * as nodeFs from 'node:fs';
import { basename, dirname, isAbsolute, join, relative, sep } from 'node:path';
import { badFile, printedName } from './bad-file.ts';

/**
 * The path of one file of a checkpoint folder (its name may come from a shard index), restricted to `folder`.
 *
 * Links may stay inside the folder, or inside the Hugging Face cache of the same repository
 * (`snapshots/<revision>` links to `../../blobs`); `followLinks` allows any target.
 *
 * @throws QdyloraError BAD_FILE for an absolute path, `..`, a backslash, a NUL, or a link that leads outside.
 */
export function pathInside(folder: string, name: string, format: string, followLinks = false): string {
  const refuse = (got: string, nextStep: string) =>
    badFile({
      format,
      path: folder,
      problem: `The file must be inside the folder (got ${got}).`,
      nextStep,
      details: { name },
    });
  const parts = name.split('/');
  if (
    name === '' ||
    isAbsolute(name) ||
    /[\0\\]/.test(name) ||
    parts.some((part) => part === '' || part === '.' || part === '..')
  ) {
    throw refuse(
      `the name ${printedName(name)}`,
      'Download the checkpoint again, from a source that you trust.',
    );
  }
  const path = join(folder, name);
  if (followLinks || !nodeFs.existsSync(path)) return path; // opening it will report that it is missing
  const root = nodeFs.realpathSync(folder);
  const real = nodeFs.realpathSync(path);
  const allowed = basename(dirname(root)) === 'snapshots' ? dirname(dirname(root)) : root;
  const way = relative(allowed, real);
  if (way === '..' || way.startsWith(`..${sep}`) || isAbsolute(way)) {
    throw refuse(
      `${printedName(name)}, a link to ${real}`,
      'If you made that link, name the folder that it leads to, or put the file itself in its place. ' +
        'A program may open the checkpoint with { followLinks: true }.',
    );
  }
  return path;
}
