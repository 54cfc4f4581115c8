// Writes reference/api: one page for each published package, from the docstrings of what it exports.
// These pages
// are made by each build and are not in git.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Application } from 'typedoc';
import { anchorsOf } from './anchors.ts';

/** Order of the navigation: what a program needs first comes first. */
export const API_PACKAGES = [
  'qdylora',
  'quant',
  'lora-dynamic',
  'checkpoint',
  'data',
  'models',
  'trainer',
  'eval',
  'tensor',
  'contract',
  'collectives',
  'cpu-kernels',
];

const path = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url));

/** Options of typedoc-plugin-markdown and its theme, which typedoc's own types do not know. */
const PLUGIN_OPTIONS: object = {
  docsRoot: path('..'),
  hideBreadcrumbs: true,
  hidePageHeader: true,
  sidebar: { pretty: false },
};

/** Returns the number of packages. */
export async function writeApi(out = path('../reference/api')): Promise<number> {
  const app = await Application.bootstrapWithPlugins({
    entryPoints: API_PACKAGES.map((name) => path(`../../packages/${name}/src/index.ts`)),
    tsconfig: path('../../tsconfig.json'),
    plugin: ['typedoc-plugin-markdown', 'typedoc-vitepress-theme'],
    out,
    readme: 'none',
    router: 'module',
    logLevel: 'Error',
    disableSources: true,
    skipErrorChecking: true,
    excludeInternal: true,
    ...PLUGIN_OPTIONS,
  });
  const project = await app.convert();
  if (!project?.children) throw new Error('[api] typedoc found nothing to describe.');
  for (const module of project.children) module.name = module.name.replace(/\/src$/, '');
  await app.generateOutputs(project);
  mendLinks(out);
  return project.children.length;
}

/**
 * typedoc numbers anchors (`#name-1`) also where the page has the name once: such links lose their number.
 */
function mendLinks(folder: string): void {
  const files = readdirSync(folder).filter((name) => name.endsWith('.md'));
  const pages = new Map(files.map((name) => [name, readFileSync(join(folder, name), 'utf8')]));
  const anchors = new Map([...pages].map(([name, text]) => [name, anchorsOf(text)]));
  for (const [name, text] of pages)
    writeFileSync(
      join(folder, name),
      text.replace(/\]\(([\w.-]*)#([\w-]+)-\d+\)/g, (link: string, page: string, anchor: string) =>
        anchors.get(page || name)?.has(link.slice(link.indexOf('#') + 1, -1)) ? link : `](${page}#${anchor})`,
      ),
    );
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const start = performance.now();
  const count = await writeApi();
  console.log(`[api] ${count} packages in ${((performance.now() - start) / 1000).toFixed(0)} s.`);
}
