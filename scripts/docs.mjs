// `npm run docs` shows the documentation while it is written, `npm run docs:build` writes it to
// docs/.vitepress/dist. Neither needs a compiled package: pages and interactive parts come from the sources.
// `npm run docs:test` builds it and uses every page of it in Chromium as a reader would.
import { join } from 'node:path';
import { root, runCommand } from './run-command.mjs';
import { installDependencies } from './set-up.mjs';

const [verb = 'build', ...args] = process.argv.slice(2);
const docs = join(root, 'docs');
const vitest = join(root, 'node_modules/vitest/vitest.mjs');
const steps =
  verb === 'test'
    ? [[vitest, 'run', 'test/site', ...args]]
    : [
        ['--conditions=source', '--import', 'tsx', 'generate/write-pages.ts'],
        ['--conditions=source', '--import', 'tsx', 'generate/write-api.ts'],
        // a large young generation: a build makes gigabytes of short-lived objects
        ['--max-semi-space-size=64', 'node_modules/vitepress/bin/vitepress.js', verb, ...args],
      ];

// a test that builds the site has another NODE_ENV, which Vue would heed
const env = { test: { QDYLORA_DEEP: '1' }, build: { NODE_ENV: 'production' } }[verb];

installDependencies();
for (const step of steps) {
  const { status } = runCommand(process.execPath, step, { cwd: docs, env });
  process.exitCode = status;
  if (status !== 0) break;
}
