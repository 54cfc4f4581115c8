// `npm run docs` shows the documentation while it is written, `npm run docs:build` writes it to
// docs/.vitepress/dist. Neither needs a compiled package: pages and interactive parts come from the sources.
// `npm run docs:test` builds it and uses it in Chromium as a reader would.
import { join } from 'node:path';
import { root, runCommand } from './run-command.mjs';
import { installDependencies } from './set-up.mjs';

const [verb = 'build', ...args] = process.argv.slice(2);
const isTest = verb === 'test';
const docs = join(root, 'docs');
const steps = [
  ['--conditions=source', '--import', 'tsx', 'generate/write-pages.ts'],
  ['--conditions=source', '--import', 'tsx', 'generate/write-api.ts'],
  ['node_modules/vitepress/bin/vitepress.js', isTest ? 'build' : verb, ...(isTest ? [] : args)],
  ...(isTest ? [[join(root, 'node_modules/vitest/vitest.mjs'), 'run', 'test/browser.test.ts', ...args]] : []),
];

installDependencies();
for (const step of steps) {
  const { status } = runCommand(process.execPath, step, { cwd: docs, env: { QDYLORA_DOCS_TEST: '1' } });
  process.exitCode = status;
  if (status !== 0) break;
}
