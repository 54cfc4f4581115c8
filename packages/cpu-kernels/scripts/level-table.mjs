// The instruction levels, from levels.json; best last.
import { readFileSync } from 'node:fs';

/**
 * Each level has a `name`, a `width` (floats per register) and compiler `flags`. `slowerOnIntel`: the level
 * before it is faster there. `forTests`: it is never chosen by itself, and is built only where the machine
 * lacks the level that it `standsInFor`. `avx2w16` runs the code of width 16, and of pairs of bf16 numbers,
 * with AVX2 instructions; `avx2_tiles` runs the code of tiles with them.
 * Both are compiled with -O1: attention alone takes GCC 12 44 s a file at -O3 and 9 s at -O1.
 */
export const LEVELS = JSON.parse(readFileSync(new URL('../levels.json', import.meta.url), 'utf8'));

export const levelNamed = (name) => LEVELS.find((level) => level.name === name);
