// Makes the platform's package from the local build: `node scripts/pack-prebuilt.mjs FOLDER` checks that the
// addon runs on old systems, and writes npm/<platform> with it as FOLDER/<name>-<version>.tgz. Prints the
// tarball's path, or one line that says why there is none, with status 3.
import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildAddon } from './build-addon.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));

/** The oldest system libraries that the addon runs on: what Node 20's own builds ask for. */
const FLOORS = { GLIBC: '2.28', GLIBCXX: '3.4.25', CXXABI: '1.3.11', GCC: '4.2.0' };

function output(command, args) {
  const { status, stdout, stderr, error } = spawnSync(command, args, { encoding: 'utf8' });
  if (status !== 0)
    throw new Error(`[pack-prebuilt] ${command} ${args[0]} … failed: ${error?.message ?? stderr.trim()}`);
  return stdout;
}

const isNewer = (a, b) => a.localeCompare(b, 'en', { numeric: true }) > 0;

/** Versions of system libraries that an addon asks for and that are above their floors: `GLIBC 2.34`. */
export const versionsAboveFloors = (addon) =>
  [...output('objdump', ['-T', addon]).matchAll(/\b(GLIBC|GLIBCXX|CXXABI|GCC)_(\d[\d.]*)/g)]
    .filter(([, library, version]) => isNewer(version, FLOORS[library]))
    .map(([, library, version]) => `${library} ${version}`);

/** The tarball's path, or `{ why }` where this machine cannot make one. */
async function packPrebuilt(folder) {
  const libc = process.report.getReport().header.glibcVersionRuntime ? '-gnu' : '';
  const platform = `${process.platform}-${process.arch}${libc}`;
  const template = join(root, 'npm', platform);
  if (!existsSync(template)) return { why: `there is no prebuilt package for ${platform}` };
  const { path, why } = await buildAddon();
  if (!path) return { why };
  const tooNew = versionsAboveFloors(path);
  if (tooNew.length > 0) throw new Error(`[pack-prebuilt] the addon needs ${tooNew.join(', ')}.`);
  const stage = mkdtempSync(join(tmpdir(), 'qdylora-prebuilt-'));
  try {
    cpSync(template, stage, { recursive: true });
    copyFileSync(join(root, '..', '..', 'LICENSE'), join(stage, 'LICENSE'));
    const manifest = JSON.parse(readFileSync(join(stage, 'package.json'), 'utf8'));
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
    writeFileSync(join(stage, 'package.json'), `${JSON.stringify({ ...manifest, version }, null, 2)}\n`);
    copyFileSync(path, join(stage, 'qdylora_cuda.node'));
    mkdirSync(folder, { recursive: true });
    const packed = output('npm', ['pack', stage, '--pack-destination', folder, '--silent']);
    return { tarball: join(folder, packed.trim().split('\n').at(-1)) };
  } finally {
    rmSync(stage, { recursive: true, force: true });
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { tarball, why } = await packPrebuilt(resolve(process.argv[2] ?? '.'));
  console.log(tarball ?? `[pack-prebuilt] none made: ${why}.`);
  process.exitCode = tarball ? 0 : 3;
}
