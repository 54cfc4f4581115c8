import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { Checkout } from './checkout.ts';
import { codeBlocks, docsFolder } from './read-pages.ts';
import { typeErrors } from './type-errors.ts';

const root = join(docsFolder, '..');
/** Packages whose examples are programs of their own. All others continue each other, and run so. */
const APART = new Set(['checkpoint']);

/** Programs of a README: the text of each. */
function programsOf(name: string): string[] {
  const blocks = codeBlocks(readFileSync(join(root, 'packages', name, 'README.md'), 'utf8'))
    .filter(({ language, info }) => language === 'ts' && info === '')
    .map(({ text }) => text);
  return APART.has(name) || blocks.length === 0 ? blocks : [withoutRepeatedImports(blocks.join('\n'))];
}

function withoutRepeatedImports(program: string): string {
  const imported = new Set<string>();
  return program.replace(/^import \{ (.*) \} from (.*)$/gm, (_, names: string, from: string) => {
    const fresh = names.split(', ').filter((name) => !imported.has(name));
    for (const name of fresh) imported.add(name);
    return `import { ${fresh.join(', ')} } from ${from}`;
  });
}

it('every TypeScript block of a README compiles in strict mode, against the published types', () => {
  const { folder } = new Checkout();
  const model = readFileSync(join(root, 'examples/tiny-model.ts'), 'utf8');
  writeFileSync(join(folder, 'tiny-model.ts'), model);
  const names = readdirSync(join(root, 'packages'))
    .filter((name) => existsSync(join(root, 'packages', name, 'README.md')))
    .flatMap((name) =>
      programsOf(name).map((program, i) => {
        const path = join(folder, `${name}-${i}.mts`);
        writeFileSync(path, program);
        return path;
      }),
    );
  const messages = typeErrors(names, {
    allowImportingTsExtensions: true,
    // docs does not depend on it
    paths: { '@qdylora/cuda-kernels': [join(root, 'packages/cuda-kernels/dist/index.d.ts')] },
  });
  expect(messages).toEqual([]);
  expect(names.length).toBeGreaterThan(8);
});
