// Every source file is laid out by its formatter (Prettier, clang-format). No line is over 110 columns.
// `node scripts/check-format.mjs --fix` formats first.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, relative } from 'node:path';
import { listFiles } from './list-files.mjs';
import { reportCheck } from './report-check.mjs';
import { root, runCommand } from './run-command.mjs';

const LONGEST_LINE = 110;
const FOLDERS = ['packages', 'scripts', 'examples', 'bench'];
const fix = process.argv.includes('--fix');
const require = createRequire(import.meta.url);

const isFixture = (path) => /^packages.[^/]+.fixtures./.test(relative(root, path));
const filesOf = (pattern) =>
  FOLDERS.flatMap((folder) => listFiles(join(root, folder), pattern).filter((path) => !isFixture(path)));
const scripts = filesOf(/\.(ts|mts|mjs|cjs|js)$/);
const native = filesOf(/\.(cpp|h|cu)$/);

/** Files with lines that are still to be shortened: this list only ever gets shorter. */
const STILL_TOO_WIDE = new Set(JSON.parse(readFileSync(join(root, 'scripts/still-too-wide.json'), 'utf8')));

/** Lines that a formatter could not break: comments, strings, titles of tests. */
function longLines(path) {
  if (STILL_TOO_WIDE.has(relative(root, path))) return [];
  return readFileSync(path, 'utf8')
    .split('\n')
    .flatMap((line, index) => {
      const columns = [...line].length;
      return columns > LONGEST_LINE
        ? [`${relative(root, path)}:${index + 1}: ${columns} columns, ${LONGEST_LINE} at most`]
        : [];
    });
}

/** What a formatter says when it would change a file. */
function complaintsOf(command, args) {
  const { status, stdout, stderr } = runCommand(process.execPath, [command, ...args], { quiet: true });
  return status === 0
    ? []
    : `${stdout}\n${stderr}`.split('\n').filter((line) => /\.(ts|mts|mjs|cjs|js|cpp|h|cu)/.test(line));
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
