// Runs every check after a build: the scripts beside this one, the type checker and the linter. `node
// scripts/check-all.mjs [name …]` runs some.
import { availableParallelism } from 'node:os';
import { pathToFileURL } from 'node:url';
import { pnpmCommand, startCommand } from './run-command.mjs';

const script = (name) => [name, [process.execPath, [`scripts/${name}.mjs`]]];

/**
 * Each check is one program that says what it looked at and ends with 0 or 1. The longest begin first, so
 * that two processors are busy to the end.
 */
const CHECKS = new Map([
  script('check-types'),
  script('check-format'),
  script('check-packed'),
  script('check-lengths'),
  [
    'oxlint',
    pnpmCommand(['exec', 'oxlint', '--deny-warnings', 'packages', 'scripts', 'bench', 'examples', 'docs']),
  ],
  script('check-boundaries'),
  script('check-docstrings'),
  script('check-cycles'),
  script('check-kernel-folders'),
]);

async function runCheck(name) {
  const start = performance.now();
  const { status, output } = await startCommand(...CHECKS.get(name));
  return { name, status, output, seconds: (performance.now() - start) / 1000 };
}

/** How many passed and failed, as of tests. Two run at a time; each is printed whole, in the order given. */
export async function checkAll(names = [...CHECKS.keys()]) {
  for (const name of names)
    if (!CHECKS.has(name))
      throw new Error(`no check is called ${name}; there are ${[...CHECKS.keys()].join(', ')}`);
  const results = [];
  let started = 0;
  let printed = 0;
  const runInTurn = async () => {
    while (started < names.length) {
      const index = started++;
      results[index] = await runCheck(names[index]);
      for (; results[printed]; printed++) print(results[printed]);
    }
  };
  await Promise.all(Array.from({ length: Math.min(2, availableParallelism()) }, runInTurn));
  const failed = results.filter(({ status }) => status !== 0).map(({ name }) => name);
  if (failed.length > 0) console.log(`\n[check] failed: ${failed.join(', ')}`);
  return { passed: names.length - failed.length, failed: failed.length };
}

const print = ({ name, output, seconds }) =>
  console.log(`\n[check] ${name}, ${seconds.toFixed(0)} s\n${output.trimEnd()}`);

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const { failed } = await checkAll(process.argv.length > 2 ? process.argv.slice(2) : undefined);
  process.exitCode = failed > 0 ? 1 : 0;
}
