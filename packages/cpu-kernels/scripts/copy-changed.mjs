import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Makes `to` hold the files of `from`, except what lies in folders named `build`, on either side. Only files
 * of other content are copied, and have the time of the copy: so `make` builds what changed, also where it
 * was edited before an earlier build of its older content had ended.
 */
export function copyChanged(from, to) {
  mkdirSync(to, { recursive: true });
  const entries = readdirSync(from, { withFileTypes: true }).filter(({ name }) => name !== 'build');
  const names = new Set(entries.map(({ name }) => name));
  for (const name of readdirSync(to))
    if (name !== 'build' && !names.has(name)) rmSync(join(to, name), { recursive: true });
  for (const entry of entries) {
    const source = join(from, entry.name);
    const target = join(to, entry.name);
    if (entry.isDirectory()) copyChanged(source, target);
    else if (!existsSync(target) || !readFileSync(target).equals(readFileSync(source)))
      copyFileSync(source, target);
  }
}
