// Runs every check after a build: the scripts beside this one, the type checker and the linter. `node
// scripts/check-all.mjs [name …]` runs some.
import { pathToFileURL } from 'node:url';
import { runCommand, runPnpm } from './run-command.mjs';

const script = (name) => [name, () => runCommand(process.execPath, [`scripts/${name}.mjs`])];

/** Each check is one program that says what it looked at and ends with 0 or 1. */
const CHECKS = new Map([
  script('check-boundaries'),
  script('check-cycles'),
  script('check-format'),
  script('check-kernel-folders'),
  script('check-lengths'),
  script('check-packed'),
  script('check-types'),
  [
    'oxlint',
    () => runPnpm(['exec', 'oxlint', '--deny-warnings', 'packages', 'scripts', 'bench', 'examples']),
  ],
]);

/** How many passed and failed, as of tests. */
export function checkAll(names = [...CHECKS.keys()]) {
  const failed = names.filter((name) => {
    console.log(`\n[check] ${name}`);
    const check = CHECKS.get(name);
    if (!check) throw new Error(`no check is called ${name}; there are ${[...CHECKS.keys()].join(', ')}`);
    return check().status !== 0;
  });
  if (failed.length > 0) console.log(`\n[check] failed: ${failed.join(', ')}`);
  return { passed: names.length - failed.length, failed: failed.length };
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href)
  process.exitCode = checkAll(process.argv.length > 2 ? process.argv.slice(2) : undefined).failed > 0 ? 1 : 0;
