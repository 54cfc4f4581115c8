// Every export of a package's src/index.ts has a docstring: the API reference is generated from them. An
// export that is declared in another package is checked there.
import { existsSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import ts from 'typescript';
import { listPackages } from './list-packages.mjs';
import { reportCheck } from './report-check.mjs';
import { root } from './run-command.mjs';

const entryOf = ({ path }) => join(path, 'src', 'index.ts');
const packages = listPackages().filter((entry) => existsSync(entryOf(entry)));

/** One program for all entry points. Names and comments need no types, so the library files are left out. */
function openProgram() {
  const config = ts.readConfigFile(join(root, 'tsconfig.base.json'), ts.sys.readFile);
  const { options } = ts.parseJsonConfigFileContent({ ...config.config, files: [] }, ts.sys, root);
  return ts.createProgram(packages.map(entryOf), { ...options, noLib: true });
}

const program = openProgram();
const checker = program.getTypeChecker();

/** The symbol behind an export, through `export … from`. */
const declared = (symbol) =>
  symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;

/** The exports of a package as `{ name, symbol, file }`. `file` declares it; undefined if none does. */
function exportsOf(entry) {
  const module = checker.getSymbolAtLocation(program.getSourceFile(entryOf(entry)));
  return checker.getExportsOfModule(module).map((exported) => {
    const symbol = declared(exported);
    const file = symbol.declarations?.[0].getSourceFile().fileName;
    return { name: exported.name, symbol, file: file && relative(root, file).split(sep).join('/') };
  });
}

const problems = [];
let exports = 0;
for (const entry of packages) {
  for (const { name, symbol, file } of exportsOf(entry)) {
    if (!file) problems.push(`${entry.manifest.name}: ${name} is exported and declared nowhere`);
    if (!file?.startsWith(`packages/${entry.folder}/`)) continue;
    exports++;
    if (symbol.getDocumentationComment(checker).length === 0)
      problems.push(`${entry.manifest.name}: ${name} has no docstring (${file})`);
  }
}
reportCheck('check-docstrings', { packages: packages.length, exports }, problems);
