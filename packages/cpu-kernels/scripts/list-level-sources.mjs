// Prints the generated sources of one level, as paths from addon/ (for binding.gyp).
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const level = process.argv[2];
const folder = fileURLToPath(new URL(`../addon/build/generated/${level}`, import.meta.url));
for (const file of readdirSync(folder)
  .filter((name) => name.endsWith('.cpp'))
  .sort())
  console.log(`build/generated/${level}/${file}`);
