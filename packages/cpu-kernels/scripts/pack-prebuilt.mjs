// Makes the platform's package from the local build: `node scripts/pack-prebuilt.mjs FOLDER` links the addon
// once more, portably (floors for glibc and libstdc++, no symbols but Node's two), checks that, and writes
// npm/<platform> with the binary as FOLDER/<name>-<version>.tgz. Prints the tarball's path, or one line that
// says why there is none, with status 3.
import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { findCompiler } from './find-compiler.mjs';
import { LEVELS } from './level-table.mjs';
import { writeShippedLevels } from './write-level-sources.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const npm = join(root, 'npm');

/**
 * The oldest system libraries that the addon runs on, by prefix of their symbols' versions: what Node 20's
 * own builds ask for (RHEL 8, Debian 10, Ubuntu 20.04 and everything newer). libstdc++ stays outside: Node
 * has it loaded already, and the static one of a new compiler asks for a glibc as new (2.35 with GCC 12 on
 * Debian 13).
 */
const FLOORS = { GLIBC: '2.28', GLIBCXX: '3.4.25', CXXABI: '1.3.11', GCC: '4.2.0' };
const EXPORTS = ['napi_register_module_v1', 'node_api_module_get_api_version_v1'];

function output(command, args) {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
  });
  if (status !== 0)
    throw new Error(`[pack-prebuilt] ${command} ${args[0]} … failed: ${error?.message ?? stderr.trim()}`);
  return stdout;
}

/** Links what build-addon.mjs compiled for `levels` into `binary`. */
function linkPortably(binary, levels) {
  const objects = join(root, 'addon', 'build', 'Release', 'obj.target');
  const archives = levels.map((name) => join(objects, `level_${name}.a`));
  const ownFiles = ['native', join('native', 'door')].flatMap((folder) =>
    readdirSync(join(root, folder))
      .filter((name) => name.endsWith('.cpp'))
      .map((name) => join(objects, folder, name.replace(/cpp$/, 'o'))),
  );
  const [compiler, ...words] = findCompiler(process.env).split(/\s+/);
  output(compiler, [
    ...words,
    '-std=c++17',
    '-shared',
    '-fPIC',
    '-O2',
    '-pthread',
    '-s',
    '-Wl,--gc-sections',
    '-Wl,--wrap=exp,--wrap=log,--wrap=pow',
    `-Wl,--version-script=${join(npm, 'exports.map')}`,
    '-Wl,--exclude-libs,ALL',
    '-o',
    binary,
    join(npm, 'glibc-floor.cpp'),
    writeShippedLevels(root, levels),
    ...ownFiles,
    '-Wl,--start-group',
    ...archives,
    '-Wl,--end-group',
    '-lm',
  ]);
}

const isNewer = (a, b) => a.localeCompare(b, 'en', { numeric: true }) > 0;

/**
 * The newest version of each library that the addon asks for. @throws where one is above its floor, or where
 * the addon shows a symbol of its own.
 */
function checkPortable(binary) {
  const symbols = output('objdump', ['-T', binary]);
  const needs = {};
  for (const [, library, version] of symbols.matchAll(/\b(GLIBC|GLIBCXX|CXXABI|GCC)_(\d[\d.]*)/g))
    if (!needs[library] || isNewer(version, needs[library])) needs[library] = version;
  for (const [library, version] of Object.entries(needs))
    if (isNewer(version, FLOORS[library]))
      throw new Error(
        `[pack-prebuilt] the addon needs ${library} ${version}, but it must run with ${FLOORS[library]}.`,
      );
  const shown = [...symbols.matchAll(/^\S+ g\s+D\w?\s+(?!\*UND\*)\S+\s+\S+\s+(?:\S+\s+)?(\S+)$/gm)]
    .map(([, name]) => name)
    .filter((name) => !EXPORTS.includes(name));
  if (!symbols.includes(EXPORTS[0]))
    throw new Error('[pack-prebuilt] the addon exports no Node-API entry point.');
  if (shown.length)
    throw new Error(
      `[pack-prebuilt] the addon exports symbols other than Node's: ${shown.slice(0, 5).join(', ')}.`,
    );
  return Object.entries(needs)
    .map(([library, version]) => `${library} ${version}`)
    .join(', ');
}

/** The tarball's path, or `{ why }` where this machine cannot make one. */
export function packPrebuilt(folder) {
  const libc = process.report.getReport().header.glibcVersionRuntime ? '-gnu' : '';
  const platform = `${process.platform}-${process.arch}${libc}`;
  const template = join(npm, platform);
  if (!existsSync(template)) return { why: `there is no prebuilt package for ${platform}` };
  const record = join(root, 'addon', 'build', 'levels.json');
  if (!existsSync(record)) return { why: 'the addon is not built here (no compiler)' };
  const { levels, leftOut } = JSON.parse(readFileSync(record, 'utf8'));
  const shipped = LEVELS.filter(({ forTests }) => !forTests);
  if (shipped.some(({ name }) => !levels.includes(name) && !Object.hasOwn(leftOut, name)))
    return { why: `the addon is built for ${levels.join(', ')} only: run scripts/build-addon.mjs` };
  const stage = mkdtempSync(join(tmpdir(), 'qdylora-prebuilt-'));
  try {
    cpSync(template, stage, { recursive: true });
    copyFileSync(join(root, '..', '..', 'LICENSE'), join(stage, 'LICENSE'));
    const manifest = JSON.parse(readFileSync(join(stage, 'package.json'), 'utf8'));
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
    writeFileSync(join(stage, 'package.json'), `${JSON.stringify({ ...manifest, version }, null, 2)}\n`);
    const binary = join(stage, 'qdylora_cpu.node');
    linkPortably(
      binary,
      shipped.map(({ name }) => name).filter((name) => levels.includes(name)),
    );
    const needs = checkPortable(binary);
    mkdirSync(folder, { recursive: true });
    const tarball = output('npm', ['pack', stage, '--pack-destination', folder, '--silent'])
      .trim()
      .split('\n')
      .at(-1);
    return { tarball: join(folder, tarball), name: manifest.name, version, needs };
  } finally {
    rmSync(stage, { recursive: true, force: true });
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const { tarball, why, needs } = packPrebuilt(resolve(process.argv[2] ?? '.'));
  console.log(tarball ? `${tarball} (needs ${needs})` : `[pack-prebuilt] none made: ${why}.`);
  process.exitCode = tarball ? 0 : 3;
}
