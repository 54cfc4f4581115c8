// What would be published: packs every public package, looks into the tarballs, installs them together
// without install scripts, and imports them.
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';
import { packPrebuilt } from '../packages/cpu-kernels/scripts/pack-prebuilt.mjs';
import { listPackages } from './list-packages.mjs';
import { PURE_PACKAGES } from './pure-packages.mjs';
import { reportCheck } from './report-check.mjs';
import { runCommand, runPnpm } from './run-command.mjs';

const NOT_FOR_USERS = /\.test\.|\.bench\.|(^|\/)(fixtures|test|tests|test-support|__tests__)\//;
const problems = [];
const counts = { packages: 0, files: 0, imports: 0 };
const temp = mkdtempSync(join(tmpdir(), 'qdylora-packed-'));

/** Each public package as a tarball: `{ manifest, tarball }`. */
function packAll(packages) {
  const filters = packages.map(({ manifest }) => `--filter=${manifest.name}`);
  const { status, stderr, stdout } = runPnpm([...filters, '-r', 'pack', '--pack-destination', temp], {
    quiet: true,
  });
  if (status !== 0) problems.push(`pnpm pack failed: ${stderr || stdout}`);
  const tarballs = readdirSync(temp);
  return packages
    .map(({ manifest }) => {
      const stem = manifest.name.replace('@', '').replace('/', '-');
      const tarball = tarballs.find((file) => file === `${stem}-${manifest.version}.tgz`);
      if (!tarball) problems.push(`${manifest.name}: no tarball`);
      return { manifest, tarball: tarball && join(temp, tarball) };
    })
    .filter(({ tarball }) => tarball);
}

const NOTICES = 'dist/THIRD-PARTY-NOTICES.txt';

/** Whether its bundles contain other packages, by their source maps. */
function containsOthers(tarball, files) {
  const maps = files.filter((file) => file.endsWith('.js.map')).map((file) => `package/${file}`);
  if (maps.length === 0) return false;
  return runCommand('tar', ['-xzOf', tarball, ...maps], { quiet: true }).stdout.includes('/node_modules/');
}

async function lookInto({ manifest, tarball }) {
  const complain = (what) => problems.push(`${manifest.name}: ${what}`);
  const files = runCommand('tar', ['-tzf', tarball], { quiet: true })
    .stdout.trim()
    .split('\n')
    .map((file) => file.replace(/^package\//, ''));
  const packed = JSON.parse(
    runCommand('tar', ['-xzOf', tarball, 'package/package.json'], { quiet: true }).stdout,
  );
  counts.packages++;
  counts.files += files.length;
  for (const file of files) if (NOT_FOR_USERS.test(file)) complain(`carries ${file}`);
  const licenses = ['LICENSE', ...(containsOthers(tarball, files) ? [NOTICES] : [])];
  for (const file of ['README.md', ...licenses]) if (!files.includes(file)) complain(`lacks ${file}`);
  for (const [name, target] of Object.entries(packed.exports)) {
    if (typeof target === 'string') continue;
    if (!target.types || !files.includes(target.types.replace('./', '')))
      complain(`the export ${name} has no types`);
    if ('source' in target) complain(`the export ${name} points to sources, which are not packed`);
  }
  for (const [name, range] of Object.entries(packed.dependencies ?? {}))
    if (range.startsWith('workspace:')) complain(`depends on ${name} as ${range}`);
  const bytes = readFileSync(tarball);
  const { messages } = await publint({
    pack: { tarball: bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) },
    level: 'warning',
  });
  for (const message of messages) complain(`publint: ${formatMessage(message, packed, { color: false })}`);
}

/**
 * All tarballs together in an empty folder, as a user gets them with install scripts off; then each is
 * imported by plain Node.
 */
async function installAndImport(packs, prebuilt) {
  const home = mkdtempSync(join(temp, 'home-'));
  const dependencies = Object.fromEntries([
    ...packs.map(({ manifest, tarball }) => [manifest.name, `file:${tarball}`]),
    ...(prebuilt ? [[prebuilt.name, `file:${prebuilt.tarball}`]] : []),
  ]);
  writeFileSync(
    join(home, 'package.json'),
    JSON.stringify({
      name: 'packed-home',
      private: true,
      type: 'module',
      dependencies,
      overrides: dependencies,
    }),
  );
  const install = runCommand(
    'npm',
    ['install', '--ignore-scripts', '--prefer-offline', '--no-audit', '--no-fund', '--loglevel=error'],
    { cwd: home, quiet: true },
  );
  if (install.status !== 0) return problems.push(`npm install of the tarballs failed: ${install.stderr}`);
  for (const { manifest } of packs) {
    const code =
      `const names = Object.keys(await import('${manifest.name}')); if (names.length === 0) throw ` +
      `new Error('it exports nothing');`;
    const { status, stderr } = runCommand(process.execPath, ['--input-type=module', '-e', code], {
      cwd: home,
      quiet: true,
    });
    if (status !== 0)
      problems.push(
        `${manifest.name}: cannot be imported: ${
          stderr
            .trim()
            .split('\n')
            .findLast((line) => /^\w*Error\b/.test(line)) ?? stderr
        }`,
      );
    counts.imports++;
  }
  checkBrowserTypes(home);
  await checkBundles(home);
  const command = runCommand(process.execPath, ['node_modules/qdylora/bin/qdylora.js', '--version'], {
    cwd: home,
    quiet: true,
  });
  if (command.status !== 0)
    problems.push(`qdylora --version ends with ${command.status}: ${command.stderr.trim()}`);
  if (prebuilt) checkPrebuilt(home, prebuilt);
}

const TYPE_CHECKER = fileURLToPath(import.meta.resolve('typescript/bin/tsc'));

/**
 * The types of the packages that run in a browser, in a strict project that knows only a browser and checks
 * libraries too.
 */
function checkBrowserTypes(home) {
  const lines = PURE_PACKAGES.map((name, i) => `export * as p${i} from '@qdylora/${name}';\n`);
  writeFileSync(join(home, 'browser.ts'), lines.join(''));
  for (const [module, moduleResolution] of [
    ['node16', 'node16'],
    ['esnext', 'bundler'],
  ]) {
    const compilerOptions = {
      ...{ module, moduleResolution, target: 'es2022', lib: ['es2022', 'dom'], types: [] },
      ...{ strict: true, exactOptionalPropertyTypes: true, skipLibCheck: false, noEmit: true },
    };
    writeFileSync(join(home, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['browser.ts'] }));
    const { status, stdout } = runCommand(process.execPath, [TYPE_CHECKER, '-p', home], { quiet: true });
    if (status !== 0) problems.push(`types with moduleResolution ${moduleResolution}: ${stdout.trim()}`);
  }
}

/** Exports that need little of their package, and bytes that a minified bundle for a browser may have. */
const SMALL_EXPORTS = [
  { name: 'NF4_LEVELS', from: '@qdylora/quant', maxBytes: 1000 },
  { name: 'rankSet', from: '@qdylora/lora-dynamic', maxBytes: 3000 },
];

/** A bundler leaves out what a program does not use. */
async function checkBundles(home) {
  for (const { name, from, maxBytes } of SMALL_EXPORTS) {
    const { outputFiles, warnings } = await build({
      stdin: { contents: `export { ${name} } from '${from}';`, resolveDir: home },
      ...{ bundle: true, minify: true, write: false, platform: 'browser', format: 'esm', logLevel: 'silent' },
    });
    const bytes = outputFiles[0].contents.length;
    if (bytes > maxBytes) problems.push(`${from}: a bundle of ${name} has ${bytes} bytes, not ≤ ${maxBytes}`);
    for (const { text } of warnings) problems.push(`${from}: a bundle of ${name}: ${text}`);
  }
}

/** What the installed command says of its kernels: `{ backend, notice, kernels }`. */
function diagnose(home) {
  const { status, stdout, stderr } = runCommand(
    process.execPath,
    ['node_modules/qdylora/bin/qdylora.js', 'doctor', '--json'],
    { cwd: home, quiet: true },
  );
  return status === 0 ? JSON.parse(stdout) : { backend: `none: ${stderr}`, notice: '', kernels: {} };
}

/**
 * Runs a kernel as a program that installed the packages would: where its addon came from and 2 · [1, 2, 3],
 * or why not.
 */
const RUN_KERNEL = `import { createCpuBackend, loadAddon } from '@qdylora/cpu-kernels';
const backend = await createCpuBackend({ numThreads: 2 }), y = new Float32Array(3);
backend.native('scaleBy')(new Float32Array([1, 2, 3]), new Float32Array([2]), y, y.length);
backend.dispose();
console.log(JSON.stringify({ path: loadAddon().path, y: [...y] }));`;

function runKernel(home) {
  const { status, stdout, stderr } = runCommand(process.execPath, ['--input-type=module', '-e', RUN_KERNEL], {
    cwd: home,
    quiet: true,
  });
  return status === 0 ? JSON.parse(stdout) : { path: `none: ${stderr}`, y: [] };
}

/**
 * The prebuilt kernels load where they fit, before a local build; where neither does, one line says so and
 * TypeScript does the work.
 */
function checkPrebuilt(home, { name, version }) {
  const kernels = join(home, 'node_modules', '@qdylora', 'cpu-kernels');
  const wanted = JSON.parse(readFileSync(join(kernels, 'package.json'), 'utf8')).optionalDependencies?.[name];
  if (wanted !== version)
    problems.push(
      `@qdylora/cpu-kernels asks for ${name} ${wanted}, but that package has version ${version}: make them ` +
        `equal`,
    );
  const file = join(home, 'node_modules', ...name.split('/'), 'qdylora_cpu.node');
  const good = readFileSync(file);
  const builds = join(kernels, 'addon', 'build', 'Release');
  const local = join(builds, 'qdylora_cpu.node');
  const runsFrom = (what, part) => {
    const { path, y } = runKernel(home);
    const { backend, notice } = diagnose(home);
    if (!path.includes(part) || y.join() !== '2,4,6' || !backend.startsWith('cpu ') || notice)
      problems.push(`${what} was not chosen: ${JSON.stringify({ path, y, backend, notice })}`);
    counts.kernels++;
  };
  mkdirSync(builds, { recursive: true });
  writeFileSync(local, good);
  runsFrom('the prebuilt addon', name);
  rmSync(file); // not written over below: the tarball's cache may share the file
  runsFrom('the local build', join('addon', 'build'));
  rmSync(local);
  const newer = Buffer.from(good.toString('latin1').replace(/GLIBC_2\.\d\d\0/g, 'GLIBC_2.99\0'), 'latin1');
  const foreign = Buffer.from(good);
  foreign.writeUInt16LE(183, 18); // e_machine of ELF: aarch64
  for (const [what, bytes, reason] of [
    ['that is missing', null, /no native addon/],
    ['for a newer glibc', newer, /newer system library/],
    ['for another processor', foreign, /another platform/],
  ]) {
    rmSync(file, { force: true });
    if (bytes) writeFileSync(file, bytes);
    const { backend, notice } = diagnose(home);
    if (!backend.startsWith('host') || !reason.test(notice) || /\n/.test(notice))
      problems.push(`an addon ${what} did not lead to TypeScript with one line: ${backend}, ${notice}`);
    counts.fallbacks++;
  }
}

try {
  const packs = packAll(listPackages().filter(({ manifest }) => !manifest.private));
  for (const pack of packs) await lookInto(pack);
  const prebuilt = packPrebuilt(temp);
  if (prebuilt.why) console.log(`  the prebuilt kernels are not checked: ${prebuilt.why}`);
  else Object.assign(counts, { kernels: 0, fallbacks: 0 });
  if (packs.length > 0) await installAndImport(packs, prebuilt.why ? null : prebuilt);
} finally {
  rmSync(temp, { recursive: true, force: true });
}
reportCheck('check-packed', counts, problems);
