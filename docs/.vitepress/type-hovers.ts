import { fileURLToPath } from 'node:url';
import {
  createTransformerFactory,
  defaultHoverInfoProcessor,
  type TwoslashRenderer,
} from '@shikijs/twoslash';
import { createTwoslasher } from 'twoslash';
import ts from 'typescript';
import type { MarkdownRenderer } from 'vitepress';

type Children = ReturnType<NonNullable<TwoslashRenderer['lineError']>>;

const docsFolder = fileURLToPath(new URL('..', import.meta.url));

/** Names that every program has. The descriptions of the platform are pages long. */
const NOT_EXPLAINED: ReadonlySet<string> = new Set(['console', 'log']);

/**
 * Adds a hidden element with its type behind each name of a TypeScript block. The page shows it
 * (theme/show-types.ts). Types are those of the sources, so nothing has to be compiled. A block that does not
 * compile ends the build.
 */
export const typeHovers = createTransformerFactory(
  createTwoslasher({
    vfsRoot: docsFolder.replace(/\/$/, ''),
    compilerOptions: compilerOptions(),
    shouldGetHoverInfo: (name) => !NOT_EXPLAINED.has(name),
  }),
  { nodeStaticInfo: nameWithType },
)({ explicitTrigger: true });

/** The options of docs/tsconfig.json. */
function compilerOptions(): ts.CompilerOptions {
  const { config } = ts.readConfigFile(`${docsFolder}tsconfig.json`, (path) => ts.sys.readFile(path));
  const { options } = ts.parseJsonConfigFileContent(
    { ...config, include: [], files: [] },
    ts.sys,
    docsFolder,
  );
  return { ...options, typeRoots: [`${docsFolder}../node_modules/@types`], noUnusedLocals: false };
}

/**
 * Marks the blocks that get types: all of pages that people write. Blocks of the API are signatures, not
 * programs; the index of the search has the code alone.
 */
export function markTypedBlocks(md: MarkdownRenderer): void {
  md.core.ruler.push('typed-blocks', ({ tokens, env }) => {
    if (env.isIndexed || env.relativePath?.startsWith('reference/api/')) return;
    for (const token of tokens)
      if (token.type === 'fence' && /^ts\b/.test(token.info)) token.info += ' twoslash';
  });
}

/** A page as the index of the search reads it. */
export const renderForSearch = (text: string, env: object, md: MarkdownRenderer): string =>
  md.render(text, Object.assign(env, { isIndexed: true }));

function nameWithType(
  this: ThisParameterType<TwoslashRenderer['nodeStaticInfo']>,
  { text, docs = '' }: { readonly text: string; readonly docs?: string },
  name: Children[number],
): Children[number] {
  const code = defaultHoverInfoProcessor(text) || text;
  const options = { ...this.options, meta: {}, transformers: [], structure: 'inline' } as const;
  const type = this.codeToHast(code, options).children as Children;
  const about = aboutHtml(docs);
  return element('span', { class: 'typed', tabindex: '-1' }, [
    name,
    element('span', { class: 'type-of vp-copy-ignore', popover: 'manual' }, [
      ...type,
      ...(about.length > 0 ? [element('span', { class: 'about' }, about)] : []),
    ]),
  ]);
}

/** The first paragraph of a docstring. */
const aboutHtml = (docs: string): Children =>
  docs
    .split('\n\n')[0]
    .replace(/\{@link (\w+)\}/g, '$1')
    .replace(/\n/g, ' ')
    .split('`')
    .map((value, i) =>
      i % 2 === 1 ? element('span', { class: 'word' }, [textNode(value)]) : textNode(value),
    )
    .filter((node) => node.type === 'element' || node.value !== '');

const textNode = (value: string) => ({ type: 'text', value }) as const;

const element = (tagName: string, properties: Record<string, string>, children: Children) =>
  ({ type: 'element', tagName, properties, children }) as const;
