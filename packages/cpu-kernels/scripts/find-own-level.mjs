import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { LEVELS } from './level-table.mjs';

/**
 * Those of `names` that tests need on this machine: a level that stands in for another one is left out where
 * the processor and the system can run the other one itself.
 * @throws as `findOwnLevel`
 */
export function findTestedLevels(root, compiler, names) {
  const missing = missingFeatures(root, compiler, names);
  const standsIn = ({ standsInFor }) => standsInFor !== undefined && missing.get(standsInFor) === '';
  const leftOut = new Set(LEVELS.filter(standsIn).map(({ name }) => name));
  return names.filter((name) => !leftOut.has(name));
}

/**
 * The level that the loader will choose on this machine out of `names`, as `bestLevel` of
 * src/addon/cpu-levels.ts does: the one that QDYLORA_CPU_LEVEL names, or else the best that the processor and
 * the system can run.
 * @throws where the compiler cannot build the program that asks the processor.
 */
export function findOwnLevel(root, compiler, names) {
  const forced = process.env.QDYLORA_CPU_LEVEL;
  if (forced && names.includes(forced)) return forced;
  const missing = missingFeatures(root, compiler, names);
  const isIntel = /intel/i.test(cpus()[0]?.model ?? '');
  const isChosen = ({ name, forTests, slowerOnIntel }) =>
    !forTests && !(slowerOnIntel && isIntel) && missing.get(name) === '';
  return LEVELS.filter(isChosen).at(-1).name;
}

/** What this machine lacks for each level, by name. The addon's own source answers. */
function missingFeatures(root, compiler, names) {
  const [command, ...words] = compiler.split(/\s+/);
  const build = join(root, 'addon', 'build');
  const program = join(build, 'print-missing-features');
  const sources = [
    join(root, 'addon', 'print-missing-features.cpp'),
    join(root, 'native', 'door', 'levels.cpp'),
  ];
  mkdirSync(build, { recursive: true });
  output(command, [...words, '-std=c++17', '-o', program, ...sources]);
  const lines = output(program, names).split('\n');
  return new Map(names.map((name, i) => [name, lines[i]]));
}

function output(command, args) {
  const { status, stdout, stderr, error } = spawnSync(command, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`[build-addon] ${command} failed: ${error?.message ?? stderr.trim()}`);
  return stdout;
}
