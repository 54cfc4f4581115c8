// `npm test`: sets everything up, runs the checks and every test of every package, and ends with one line of
// counts.
// Arguments go to vitest: `npm test -- packages/quant` runs that package's tests after the checks.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkAll } from './check-all.mjs';
import { runCommand } from './run-command.mjs';
import { setUp } from './set-up.mjs';

/** Counts over all packages; a run that died before it could count is one failure. */
function runTests(args) {
  const folder = mkdtempSync(join(tmpdir(), 'qdylora-test-'));
  const file = join(folder, 'counts.json');
  try {
    const { status } = runCommand(
      process.execPath,
      [
        'node_modules/vitest/vitest.mjs',
        'run',
        '--reporter=default',
        '--reporter=./scripts/count-tests-reporter.mjs',
        ...args,
      ],
      { env: { QDYLORA_TEST_COUNTS: file, ...(process.stdout.isTTY ? {} : { NO_COLOR: '1' }) } },
    );
    const counts = JSON.parse(readFileSync(file, 'utf8'));
    return status !== 0 && counts.failed === 0 ? { ...counts, failed: 1 } : counts;
  } catch (error) {
    console.error(`[test] vitest did not finish: ${error.message}`);
    return { passed: 0, failed: 1, skipped: 0 };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

await setUp();
const checks = await checkAll();
console.log('\n[test] vitest over all packages');
const tests = runTests(process.argv.slice(2));
const passed = checks.passed + tests.passed;
const failed = checks.failed + tests.failed;
if (tests.passed + tests.failed === 0) console.error('[test] no test ran: that is a failure.');
process.exitCode = failed > 0 || tests.passed === 0 ? 1 : 0;
console.log(`${passed} passed, ${failed} failed${tests.skipped > 0 ? `, ${tests.skipped} skipped` : ''}`);
