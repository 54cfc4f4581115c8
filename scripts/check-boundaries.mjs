// Imports and dependencies against the table in ARCHITECTURE.md §2: who may import whom, and what the pure
// packages may touch.
import { existsSync, readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { dirname, join, relative, resolve, sep } from 'node:path';
import ts from 'typescript';
import { listFiles } from './list-files.mjs';
import { listPackages } from './list-packages.mjs';
import { PURE_PACKAGES } from './pure-packages.mjs';
import { reportCheck } from './report-check.mjs';
import { root } from './run-command.mjs';

/** What pure packages may not use: Node's and a page's. Golden tests read files, so they may. */
const NOT_PURE = new Set(['process', 'window', 'document', 'Buffer', '__dirname', '__filename', 'require']);

/** Folder → the folders that it may import, from the lines `  name/   what it is   → a, b` of the page. */
function readTable() {
  const page = readFileSync(join(root, 'ARCHITECTURE.md'), 'utf8');
  const table = new Map();
  for (const [, folder, list] of page.matchAll(/^ {2}([a-z-]+)\/ .*→ (.+)$/gm))
    table.set(folder, list.trim() === 'nothing' ? [] : list.trim().split(/, */));
  return table;
}

/** Tests, benches and TypeScript scripts run in this repository only, with the root's tools. */
const isForDevelopment = (path) =>
  /\.test\.ts$|\.bench\.ts$|[\\/](test|test-support|bench)[\\/]|[\\/]scripts[\\/].*\.ts$/.test(path);

/** `@qdylora/quant` of `@qdylora/quant/node`. */
const packageOf = (specifier) =>
  specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');

const isNodeBuiltin = (specifier) => specifier.startsWith('node:') || builtinModules.includes(specifier);

/**
 * Node's or a page's globals that a file uses: names that it does not declare itself (a sliding `window` is
 * no page).
 */
function impureGlobals(path, text) {
  const used = new Set();
  const declared = new Set();
  const visit = (node) => {
    if (ts.isIdentifier(node) && NOT_PURE.has(node.text)) {
      const { parent } = node;
      if (
        (ts.isVariableDeclaration(parent) || ts.isParameter(parent) || ts.isBindingElement(parent)) &&
        parent.name === node
      )
        declared.add(node.text);
      else if (!('name' in parent && parent.name === node) || ts.isShorthandPropertyAssignment(parent))
        used.add(node.text);
    }
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true));
  return [...used].filter((name) => !declared.has(name));
}

const table = readTable();
const packages = listPackages();
const problems = [];
const folderOf = new Map(packages.map(({ folder, manifest }) => [manifest.name, folder]));
const rootTools = Object.keys(JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).devDependencies);
const counts = { packages: packages.length, files: 0, imports: 0 };

function checkPackage({ folder, path, manifest }) {
  const complain = (where, what) => problems.push(`${relative(root, where)}: ${what}`);
  const allowed = table.get(folder);
  const manifestPath = join(path, 'package.json');
  if (!allowed) return complain(manifestPath, `${folder} is not in the table of ARCHITECTURE.md §2`);
  const mayImport = (other) => allowed[0] === 'everything' || allowed.includes(other);
  const dependencies = Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies });
  const forTests = [...Object.keys(manifest.devDependencies ?? {}), ...rootTools];
  const used = new Set();
  for (const name of dependencies)
    if (folderOf.has(name) && !mayImport(folderOf.get(name)))
      complain(manifestPath, `depends on ${name}, which the table of ARCHITECTURE.md §2 does not allow`);

  for (const file of listFiles(path, /\.(ts|mts|mjs|js)$/)) {
    // they configure tools and belong to the root's files
    if (dirname(file) === path && file.endsWith('.config.ts')) continue;
    counts.files++;
    const text = readFileSync(file, 'utf8');
    const isGolden = file.endsWith('.golden.test.ts');
    const isPure = PURE_PACKAGES.includes(folder) && !isGolden;
    for (const { fileName: specifier } of ts.preProcessFile(text, true, true).importedFiles) {
      counts.imports++;
      const name = packageOf(specifier);
      if (isNodeBuiltin(specifier)) {
        if (isPure) complain(file, `imports ${specifier}, but ${folder} is pure`);
      } else if (specifier.startsWith('.')) {
        if (!resolve(dirname(file), specifier).startsWith(path + sep))
          complain(file, `reaches out of its package with ${specifier}`);
      } else if (name === manifest.name) used.add(name);
      else if (dependencies.includes(name)) used.add(name);
      else if (!(isForDevelopment(file) && forTests.includes(name)))
        complain(file, `imports ${name}, which is not in the package's dependencies`);
      if (
        folderOf.has(name) &&
        specifier !== name &&
        !manifestExports(name)[`.${specifier.slice(name.length)}`]
      )
        complain(file, `imports ${specifier}, which ${name} does not export`);
    }
    if (isPure)
      for (const name of impureGlobals(file, text)) complain(file, `uses ${name}, but ${folder} is pure`);
  }
  for (const name of dependencies)
    if (!used.has(name) && !isUsedByName(path, name))
      complain(manifestPath, `depends on ${name}, which nothing imports`);
}

const manifestExports = (name) =>
  packages.find(({ manifest }) => manifest.name === name).manifest.exports ?? {};

/** Some tools are named in build files or resolved as text. */
const isUsedByName = (path, name) =>
  listFiles(path, /\.(mjs|gyp|gypi|ts)$/).some((file) => readFileSync(file, 'utf8').includes(name));

packages.forEach(checkPackage);
for (const folder of table.keys())
  if (!existsSync(join(root, 'packages', folder)))
    problems.push(`ARCHITECTURE.md §2 lists ${folder}, but packages/${folder} does not exist`);
reportCheck('check-boundaries', counts, problems);
