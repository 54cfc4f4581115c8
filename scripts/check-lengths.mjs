// No file over 400 lines, no function over 60: long ones hide more than one thing. Exceptions are
// listed below, each with its reason.
import { readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import ts from 'typescript';
import { listFiles } from './list-files.mjs';
import { reportCheck } from './report-check.mjs';
import { root } from './run-command.mjs';

const LONGEST_FILE = 400;
const LONGEST_FUNCTION = 60;

/** `path` or `path: function` → why it may be longer. One that is not needed any more is a problem too. */
const EXCEPTIONS = {
  'packages/contract/src/memory/arena.ts: createArena':
    'the methods of one memory share its blocks, scopes and counters: a class in all but name',
};

const lineCount = (text) => text.split('\n').length - (text.endsWith('\n') ? 1 : 0);

/** A suite's callback is a list of tests, not a function with a job. */
const isSuite = (node) =>
  ts.isCallExpression(node.parent) && /^describe\b/.test(node.parent.expression.getText());

/** `[name, lines]` of each function in a TypeScript or JavaScript file. */
function functionsOf(path, text) {
  const source = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);
  const found = [];
  const lineOf = (position) => source.getLineAndCharacterOfPosition(position).line + 1;
  const visit = (node) => {
    if (ts.isFunctionLike(node) && node.body && !isSuite(node)) {
      const name = node.name?.getText() ?? node.parent.name?.getText() ?? `line ${lineOf(node.getStart())}`;
      found.push([name, lineOf(node.end) - lineOf(node.getStart()) + 1]);
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

const files = ['packages', 'scripts', 'examples', 'bench', 'docs'].flatMap((folder) =>
  listFiles(join(root, folder), /\.(ts|mts|mjs|js|cpp|h|cu|py)$/),
);
const tooLong = new Map();
let functions = 0;
for (const path of files) {
  const text = readFileSync(path, 'utf8');
  const name = relative(root, path);
  if (lineCount(text) > LONGEST_FILE) tooLong.set(name, `${lineCount(text)} lines, ${LONGEST_FILE} at most`);
  if (!/\.(ts|mts|mjs|js)$/.test(path)) continue;
  for (const [title, lines] of functionsOf(path, text)) {
    functions++;
    if (lines > LONGEST_FUNCTION)
      tooLong.set(`${name}: ${title}`, `${lines} lines, ${LONGEST_FUNCTION} at most`);
  }
}
const problems = [
  ...[...tooLong].filter(([name]) => !(name in EXCEPTIONS)).map(([name, what]) => `${name}: ${what}`),
  ...Object.keys(EXCEPTIONS)
    .filter((name) => !tooLong.has(name))
    .map(
      (name) => `${name}: listed as an exception, but short enough: remove it from scripts/check-lengths.mjs`,
    ),
];
reportCheck('check-lengths', { files: files.length, functions }, problems);
