// No import cycles inside a package, not even of types: files that need each other cannot be read alone.
// Between packages, check-boundaries allows only the imports of the table in ARCHITECTURE.md §2, which has no
// cycle.
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import ts from 'typescript';
import { listFiles } from './list-files.mjs';
import { reportCheck } from './report-check.mjs';
import { root } from './run-command.mjs';

const FOLDERS = ['packages', 'examples', 'bench', 'scripts', 'docs'];

/** The files of the same package that a file imports or re-exports, values and types alike. */
function importsOf(file) {
  const { importedFiles } = ts.preProcessFile(readFileSync(file, 'utf8'), true, true);
  return importedFiles
    .filter(({ fileName }) => fileName.startsWith('.'))
    .map(({ fileName }) => resolve(dirname(file), fileName))
    .filter((path) => existsSync(path));
}

/**
 * The strongly connected components of more than one file (Tarjan 1972): every file of one reaches every
 * other and itself again.
 */
function cyclesOf(graph) {
  const order = new Map();
  const lowest = new Map();
  const stack = [];
  const cycles = [];
  const visit = (file) => {
    order.set(file, order.size);
    lowest.set(file, order.get(file));
    stack.push(file);
    for (const target of graph.get(file)) {
      if (!graph.has(target)) continue;
      if (!order.has(target)) visit(target);
      if (stack.includes(target)) lowest.set(file, Math.min(lowest.get(file), lowest.get(target)));
    }
    if (lowest.get(file) !== order.get(file)) return;
    const component = stack.splice(stack.indexOf(file));
    if (component.length > 1) cycles.push(component.sort());
  };
  for (const file of graph.keys()) if (!order.has(file)) visit(file);
  return cycles;
}

/** The shortest way from the first file of a cycle back to itself. */
function shortestCycle(graph, cycle) {
  const [start] = cycle;
  const cameFrom = new Map();
  const queue = [start];
  for (const file of queue) {
    for (const target of graph.get(file)) {
      if (target === start) return pathTo(cameFrom, file, start);
      if (!cycle.includes(target) || cameFrom.has(target)) continue;
      cameFrom.set(target, file);
      queue.push(target);
    }
  }
  throw new Error(`no way from ${start} back to itself`);
}

function pathTo(cameFrom, last, start) {
  const path = [start];
  for (let file = last; file !== start; file = cameFrom.get(file)) path.splice(1, 0, file);
  return [...path, start];
}

const nameOf = (file) => relative(root, file);

const problemOf = (graph, cycle) => `a cycle: ${shortestCycle(graph, cycle).map(nameOf).join(' → ')}`;

const files = FOLDERS.flatMap((folder) => listFiles(join(root, folder), /\.(ts|mts|mjs|js)$/));
const graph = new Map(files.map((file) => [file, importsOf(file)]));
const cycles = cyclesOf(graph);
const imports = [...graph.values()].reduce((sum, targets) => sum + targets.length, 0);
reportCheck(
  'check-cycles',
  { files: files.length, imports },
  cycles.map((cycle) => problemOf(graph, cycle)),
);
