// Every kernel source is compiled once per level. gyp names object files after source paths, so each pair
// (level, source) needs a file of its own: a stub of three lines. Also written: each level's table of kernels
// (from the QD_EXPORT lines) and the list of levels.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';

/**
 * Levels by name → floats per register. `avx2w16` (tests only) runs the code of width 16, and of pairs of
 * bf16 numbers, with AVX2 instructions, `avx2_tiles` the code of tiles. Best last.
 */
export const LEVEL_WIDTHS = {
  generic: 4,
  avx2w16: 16,
  avx2_tiles: 16,
  avx2: 8,
  avx512: 16,
  avx512_bf16: 16,
  amx_bf16: 16,
};

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

export function writeLevelSources(root, levels) {
  const generated = join(root, 'addon', 'build', 'generated');
  const sources = kernelSources(root);
  const names = sources.flatMap((source) =>
    [...readFileSync(source, 'utf8').matchAll(/^QD_EXPORT\((\w+)\)/gm)].map((match) => match[1]),
  );
  const wanted = new Set();
  const write = (path, text) => {
    wanted.add(path);
    // an unchanged file keeps its date: make skips it
    if (!existsSync(path) || readFileSync(path, 'utf8') !== text) writeFileSync(path, text);
  };
  for (const level of levels) {
    const folder = join(generated, level);
    mkdirSync(folder, { recursive: true });
    const head =
      `#define QD_LEVEL ${level}\n#define QD_WIDTH ` +
      `${LEVEL_WIDTHS[level]}\n${level === 'avx2_tiles' ? '#define QD_EMULATES_TILES\n' : ''}`;
    for (const source of sources)
      write(join(folder, source.split(/[\\/]/).pop()), `${head}#include "${relative(folder, source)}"\n`);
    write(
      join(folder, 'kernel-table.cpp'),
      `${head}#include "../../../../native/kernel.h"\nnamespace qdylora::${level} {\n${names
        .map((name) => `extern const KernelEntry ${name}Entry;`)
        .join(
          '\n',
        )}\nextern const KernelEntry* const KERNELS[] = {${names.map((name) => `&${name}Entry`).join(', ')}};\n}\n`,
    );
    for (const file of readdirSync(folder)) if (!wanted.has(join(folder, file))) rmSync(join(folder, file));
  }
  write(
    join(generated, 'levels.cpp'),
    `#include "../../../native/levels.h"\nnamespace qdylora {\n${levels
      .map((level) => `namespace ${level} { extern const KernelEntry* const KERNELS[]; }`)
      .join('\n')}\nextern const Level LEVELS[] = {${levels
      .map((level) => `{"${level}", ${level}::KERNELS, ${names.length}}`)
      .join(', ')}};\nextern const int LEVEL_COUNT = ${levels.length};\n}\n`,
  );
  return { sources, kernels: names };
}
