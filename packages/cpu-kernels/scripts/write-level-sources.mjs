// Every kernel source is compiled once per level. gyp names object files after source paths, so each pair
// (level, source) needs a file of its own: a stub of three lines. Also written: each level's table of kernels
// (from the QD_EXPORT lines), the list of levels, and their targets for gyp.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { levelNamed } from './level-table.mjs';

/** The sources that are compiled per level: kernels/<op>/*.cpp and native/per-level/*.cpp. */
export function kernelSources(root) {
  const kernels = readdirSync(join(root, 'kernels'))
    .sort()
    .flatMap((op) => sourcesIn(join(root, 'kernels', op)));
  return [...kernels, ...sourcesIn(join(root, 'native', 'per-level'))];
}

const sourcesIn = (folder) =>
  existsSync(folder)
    ? readdirSync(folder)
        .filter((name) => name.endsWith('.cpp'))
        .sort()
        .map((name) => join(folder, name))
    : [];

const kernelNames = (sources) =>
  sources.flatMap((source) =>
    [...readFileSync(source, 'utf8').matchAll(/^QD_EXPORT\((\w+)\)/gm)].map(([, name]) => name),
  );

/** An unchanged file keeps its date, so that make compiles only what changed. */
function writeChanged(path, text) {
  if (!existsSync(path) || readFileSync(path, 'utf8') !== text) writeFileSync(path, text);
}

/**
 * Writes addon/build/generated for these levels and returns the kernels' sources and names. What earlier
 * builds wrote for other levels stays, with its objects.
 */
export function writeLevelSources(root, levels) {
  const generated = join(root, 'addon', 'build', 'generated');
  const sources = kernelSources(root);
  const kernels = kernelNames(sources);
  const targets = levels.map((name) => {
    const level = levelNamed(name);
    return gypTarget(level, writeStubs(join(generated, name), level, sources, kernels));
  });
  writeChanged(join(generated, 'levels.cpp'), levelList(levels, kernels.length));
  const variables = { level_targets: targets.map(({ target_name }) => target_name) };
  writeChanged(join(generated, 'levels.gypi'), `${JSON.stringify({ variables, targets }, null, 2)}\n`);
  return { sources, kernels };
}

/** Writes the list of these levels alone, of those that are built. Returns its path. */
export function writeShippedLevels(root, levels) {
  const path = join(root, 'addon', 'build', 'generated', 'shipped-levels.cpp');
  writeChanged(path, levelList(levels, kernelNames(kernelSources(root)).length));
  return path;
}

/** The names of the files that one level is compiled from. */
function writeStubs(folder, { name, width }, sources, kernels) {
  mkdirSync(folder, { recursive: true });
  const head =
    `#define QD_LEVEL ${name}\n#define QD_WIDTH ${width}\n` +
    (name === 'avx2_tiles' ? '#define QD_EMULATES_TILES\n' : '');
  const stubs = new Map(
    sources.map((source) => [
      source.split(/[\\/]/).at(-1),
      `${head}#include "${relative(folder, source)}"\n`,
    ]),
  );
  stubs.set('kernel-table.cpp', kernelTable(head, name, kernels));
  for (const file of readdirSync(folder)) if (!stubs.has(file)) rmSync(join(folder, file));
  for (const [file, text] of stubs) writeChanged(join(folder, file), text);
  return [...stubs.keys()].sort();
}

const kernelTable = (head, level, kernels) => `${head}#include "../../../../native/kernel.h"
namespace qdylora::${level} {
${kernels.map((kernel) => `extern const KernelEntry ${kernel}Entry;`).join('\n')}
extern const KernelEntry* const KERNELS[] = {${kernels.map((kernel) => `&${kernel}Entry`).join(', ')}};
}
`;

const levelList = (levels, kernelCount) => `#include "../../../native/door/levels.h"
namespace qdylora {
${levels.map((level) => `namespace ${level} { extern const KernelEntry* const KERNELS[]; }`).join('\n')}
extern const Level LEVELS[] = {
${levels.map((level) => `  {"${level}", ${level}::KERNELS, ${kernelCount}},`).join('\n')}
};
extern const int LEVEL_COUNT = ${levels.length};
}
`;

/** Paths are relative to addon/build/generated. */
const gypTarget = ({ name, flags }, files) => ({
  target_name: `level_${name}`,
  type: 'static_library',
  includes: ['../../level.gypi'],
  sources: files.map((file) => `${name}/${file}`),
  cflags_cc: flags,
  xcode_settings: { OTHER_CPLUSPLUSFLAGS: flags },
});
