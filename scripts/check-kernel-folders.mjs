// A kernel is a folder of four files named alike, listed in the kernel table, whose property test covers each
// op that it binds.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { reportCheck } from './report-check.mjs';
import { root } from './run-command.mjs';

const home = join(root, 'packages', 'cpu-kernels');
const table = readFileSync(join(home, 'src', 'kernel-table.ts'), 'utf8');
const folders = readdirSync(join(home, 'kernels')).sort();
const problems = [];
let ops = 0;

for (const folder of folders) {
  const complain = (what) => problems.push(`kernels/${folder}: ${what}`);
  const at = (file) => join(home, 'kernels', folder, file);
  const files = readdirSync(at(''));
  const wanted = ['.cpp', '.ts', '.prop.test.ts', '.bench.ts'].map((ending) => `${folder}${ending}`);
  for (const file of wanted) if (!files.includes(file)) complain(`${file} is missing`);
  for (const file of files)
    if (!wanted.includes(file) && !new RegExp(`^${folder}\\.[a-z0-9-]+\\.(cpp|h)$`).test(file))
      complain(`${file} is neither one of the four files nor a named variant`);
  if (!table.includes(`from '../kernels/${folder}/${folder}.ts'`)) complain('not in src/kernel-table.ts');
  if (!existsSync(at(`${folder}.ts`)) || !existsSync(at(`${folder}.prop.test.ts`))) continue;
  const bound = [...readFileSync(at(`${folder}.ts`), 'utf8').matchAll(/bindKernel\(\s*(\w+)/g)].map(
    ([, op]) => op,
  );
  const test = readFileSync(at(`${folder}.prop.test.ts`), 'utf8');
  if (bound.length === 0) complain('binds no op');
  for (const op of bound)
    if (!new RegExp(`\\b${op}\\b`).test(test)) complain(`${folder}.prop.test.ts never names ${op}`);
  ops += bound.length;
}
reportCheck('check-kernel-folders', { folders: folders.length, ops }, problems);
