import { builtinModules, createRequire } from 'node:module';
import type { Plugin } from 'vite';

const require = createRequire(import.meta.url);

/** The few functions of Node that pages do call, written for a page. */
const WRITTEN: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  path: {
    basename: '(path) => path.split("/").pop()',
    dirname: '(path) => path.split("/").slice(0, -1).join("/")',
    extname: '(path) => /\\.[^./]*$/.exec(path)?.[0] ?? ""',
    join: '(...parts) => parts.join("/")',
  },
  'timers/promises': { setImmediate: '() => new Promise((resolve) => setTimeout(resolve, 0))' },
  // no time limit: a page reads its own tokenizer
  vm: {
    createContext: '(context) => context',
    Script: 'class { runInContext(context) { context.body(); } }',
  },
};

const ADDON = /new URL\('[^']+\.node', import\.meta\.url\)/g;

/**
 * Modules of Node for a bundle that runs in a page. Packages import them for the parts that read files; a
 * page uses the other parts. Whatever is called all the same throws and says its name.
 */
export function nodeStandIns(): Plugin {
  return {
    name: 'node-stand-ins',
    enforce: 'pre',
    resolveId(id, _, { ssr } = {}) {
      const name = id.replace(/^node:/, '');
      return !ssr && builtinModules.includes(name) ? `\0node:${name}` : undefined;
    },
    load: (id) => (id.startsWith('\0node:') ? standIn(id.slice('\0node:'.length)) : undefined),
    // a compiled addon that a source names by its address would be copied into the site
    transform: (code) =>
      code.includes(".node'") ? code.replaceAll(ADDON, 'new URL("file:///none")') : undefined,
  };
}

function standIn(name: string): string {
  const written = WRITTEN[name] ?? {};
  const lines = Object.keys(require(`node:${name}`))
    .filter((each) => /^[A-Za-z]\w*$/.test(each) && each !== 'default')
    .map((each) =>
      written[each]
        ? `export const ${each} = ${written[each]};`
        : `export const ${each} = missing(${JSON.stringify(`${name}.${each}`)});`,
    );
  return [
    'const missing = (name) => Object.assign(function () {',
    '  throw new Error(`${name} belongs to Node and does not work in a page`);',
    '}, { missing: true });',
    ...lines,
    'export default {};',
  ].join('\n');
}
