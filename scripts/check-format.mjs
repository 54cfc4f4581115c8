// Every source file is laid out by its formatter (Prettier, clang-format). No line is over 110 columns.
// `node scripts/check-format.mjs --fix` formats first.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, relative } from 'node:path';
import { listFiles } from './list-files.mjs';
import { reportCheck } from './report-check.mjs';
import { root, runCommand } from './run-command.mjs';

const LONGEST_LINE = 110;
const FOLDERS = ['packages', 'scripts', 'examples', 'bench', 'docs'];
const fix = process.argv.includes('--fix');
const require = createRequire(import.meta.url);

const isFixture = (path) => /^packages.[^/]+.fixtures./.test(relative(root, path));
const filesOf = (pattern) =>
  FOLDERS.flatMap((folder) => listFiles(join(root, folder), pattern).filter((path) => !isFixture(path)));
const scripts = filesOf(/\.(ts|mts|mjs|cjs|js)$/);
const native = filesOf(/\.(cpp|h|cu)$/);

/** Lines that a formatter could not break: comments, strings, titles of tests. */
function longLines(path) {
  return readFileSync(path, 'utf8')
    .split('\n')
    .flatMap((line, index) => {
      const columns = [...line].length;
      return columns > LONGEST_LINE
        ? [`${relative(root, path)}:${index + 1}: ${columns} columns, ${LONGEST_LINE} at most`]
        : [];
    });
}

/** What a formatter says of the files that it would change; all that it says where it fails otherwise. */
function complaintsOf(command, args) {
  const { status, stdout, stderr } = runCommand(process.execPath, [command, ...args], { quiet: true });
  if (status === 0) return [];
  const lines = `${stdout}\n${stderr}`.split('\n').filter((line) => line.trim() !== '');
  const named = lines.filter((line) => /\.(ts|mts|mjs|cjs|js|cpp|h|cu)/.test(line));
  if (named.length > 0) return named;
  return lines.length > 0 ? lines : [`${command} failed with status ${status}`];
}

const problems = [
  ...complaintsOf(require.resolve('prettier/bin/prettier.cjs'), [
    fix ? '--write' : '--check',
    '--log-level',
    'warn',
    ...scripts,
  ]),
  ...complaintsOf(require.resolve('clang-format-node/build/cli.js'), [
    ...(fix ? ['-i'] : ['--dry-run', '-Werror']),
    ...native,
  ]),
  ...[...scripts, ...native].flatMap(longLines),
];
reportCheck('check-format', { files: scripts.length + native.length }, problems);
