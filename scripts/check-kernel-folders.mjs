// A kernel is a folder of three files named alike, listed in the kernel table. A fourth holds laws of its
// own. Every op that it binds has cases in the conformance suite.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { reportCheck } from './report-check.mjs';
import { root } from './run-command.mjs';

const home = join(root, 'packages', 'cpu-kernels');
const table = readFileSync(join(home, 'src', 'kernel-table.ts'), 'utf8');
const folders = readdirSync(join(home, 'kernels')).sort();
const cases = join(root, 'packages', 'testing', 'src', 'conformance', 'cases');
const caseFiles = readdirSync(cases).map((file) => readFileSync(join(cases, file), 'utf8'));
const problems = [];
let ops = 0;

for (const folder of folders) {
  const complain = (what) => problems.push(`kernels/${folder}: ${what}`);
  const at = (file) => join(home, 'kernels', folder, file);
  const files = readdirSync(at(''));
  const needed = ['.cpp', '.ts', '.bench.ts'].map((ending) => `${folder}${ending}`);
  const known = [...needed, `${folder}.prop.test.ts`];
  for (const file of needed) if (!files.includes(file)) complain(`${file} is missing`);
  for (const file of files)
    if (!known.includes(file) && !new RegExp(`^${folder}\\.[a-z0-9-]+\\.(cpp|h)$`).test(file))
      complain(`${file} is neither one of the files of a kernel nor a named variant`);
  if (!table.includes(`from '../kernels/${folder}/${folder}.ts'`)) complain('not in src/kernel-table.ts');
  if (!existsSync(at(`${folder}.ts`))) continue;
  const bound = [...readFileSync(at(`${folder}.ts`), 'utf8').matchAll(/bindKernel\(\s*(\w+)/g)].map(
    ([, op]) => op,
  );
  if (bound.length === 0) complain('binds no op');
  for (const op of bound)
    if (!caseFiles.some((text) => new RegExp(`conformanceCase\\(${op}\\b`).test(text)))
      complain(`${op} has no case in packages/testing/src/conformance/cases`);
  ops += bound.length;
}
reportCheck('check-kernel-folders', { folders: folders.length, ops }, problems);
