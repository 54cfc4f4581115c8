// Everything that a fresh clone needs: dependencies, built packages, native kernels. Quick when nothing
// changed. `node scripts/set-up.mjs --for-running` builds what the command needs and no more: no types, no
// tools of the documentation, and the kernels of the one instruction level that this machine uses. A later
// full set-up adds the others.
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import { listFiles } from './list-files.mjs';
import { pnpmCommand, root, runPnpm, startCommand } from './run-command.mjs';

const RECORD = join(root, 'node_modules', '.set-up');

/** Changes when an install could change something. */
function hashOfManifests() {
  const manifests = ['packages', 'examples', 'bench', 'docs'].flatMap((folder) =>
    listFiles(join(root, folder), /^package\.json$/),
  );
  const hash = createHash('sha256').update(process.version).update(root);
  for (const file of [
    ...['package.json', 'pnpm-lock.yaml', 'pnpm-workspace.yaml'].map((name) => join(root, name)),
    ...manifests,
  ])
    hash.update(relative(root, file)).update(readFileSync(file));
  return hash.digest('hex');
}

/** `forRunning`: without the tools of the documentation, a third of all bytes. */
export function installDependencies({ forRunning = false } = {}) {
  const hash = hashOfManifests();
  const record = existsSync(RECORD) ? readFileSync(RECORD, 'utf8') : '';
  if (record === hash || (forRunning && record === `${hash} for running`))
    return say('dependencies: unchanged.');
  say('dependencies: installing with the pinned pnpm …');
  demand(
    'pnpm install',
    runPnpm([
      'install',
      '--frozen-lockfile',
      '--prefer-offline',
      '--config.confirmModulesPurge=false',
      '--reporter=append-only',
      ...(forRunning ? ['--filter=!@qdylora/docs'] : []),
    ]),
  );
  writeFileSync(RECORD, forRunning ? `${hash} for running` : hash);
}

/**
 * `forRunning`: without types, and with the kernels of one level. The two builds run side by side: the types
 * alone keep one processor busy for half a minute.
 */
async function buildPackages(forRunning) {
  const levels = forRunning ? "those of this machine's instruction level" : 'every instruction level';
  say(`packages: building what changed; kernels: ${levels} …`);
  const tasks = forRunning ? ['build'] : ['build', 'build-types'];
  const flags = ['--output-logs=errors-only', '--concurrency=2'];
  const env = { TURBO_TELEMETRY_DISABLED: '1', DO_NOT_TRACK: '1', TURBO_NO_UPDATE_NOTIFIER: '1' };
  const script = join(root, 'packages/cpu-kernels/scripts/build-addon.mjs');
  const cudaScript = join(root, 'packages/cuda-kernels/scripts/build-addon.mjs');
  const [packages, kernels, cuda] = await Promise.all([
    startCommand(...pnpmCommand(['exec', 'turbo', 'run', ...tasks, ...flags]), { env }),
    startCommand(process.execPath, [script, ...(forRunning ? ['--own-level'] : [])]),
    startCommand(process.execPath, [cudaScript]),
  ]);
  for (const { output } of [packages, kernels, cuda]) console.log(output.trimEnd());
  demand('the build', packages);
  demand('the native build', kernels);
  demand('the build of the CUDA addon', cuda);
}

function say(line) {
  console.log(`[set-up] ${line}`);
}

function demand(what, { status }) {
  if (status === 0) return;
  console.error(`[set-up] ${what} failed with status ${status} (above).`);
  process.exit(1);
}

/** Whether a version of Node is one that the packages run on: ^20.19 || >=22.12. */
export function isSupported(version) {
  const [major, minor] = version.split('.').map(Number);
  return (major === 20 && minor >= 19) || (major === 22 && minor >= 12) || major > 22;
}

/** Ends the process where a step fails. */
export async function setUp({ forRunning = false } = {}) {
  const start = performance.now();
  if (!isSupported(process.versions.node)) {
    console.error(
      `[set-up] Node ${process.version} is not supported. Use 20.19 or newer of 20, or 22.12 or newer.`,
    );
    process.exit(1);
  }
  installDependencies({ forRunning });
  await buildPackages(forRunning);
  say(`ready after ${((performance.now() - start) / 1000).toFixed(0)} s.`);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href)
  await setUp({ forRunning: process.argv.includes('--for-running') });
