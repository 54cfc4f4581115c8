import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { API_PACKAGES } from '../generate/write-api.ts';

/** The heading of llms.txt before which the list of the API stands. */
const NEXT_HEADING = '### Trust';

/**
 * Adds the pages of the API to llms.txt and llms-full.txt, and writes each as Markdown. They are Markdown
 * already: through vitepress-plugin-llms they would be half of the time of a build.
 */
export function writeApiForAgents({ srcDir, outDir }: { readonly srcDir: string; readonly outDir: string }) {
  const pages = API_PACKAGES.map((name) => {
    const path = `reference/api/${name}.md`;
    return { name, path, text: `---\nurl: /${path}\n---\n${readFileSync(join(srcDir, path), 'utf8')}` };
  });
  mkdirSync(join(outDir, 'reference/api'), { recursive: true });
  for (const { path, text } of pages) writeFileSync(join(outDir, path), text);
  const list = pages.map(({ name, path }) => `- [${name}](/${path})`).join('\n');
  const file = (name: string): string => readFileSync(join(outDir, name), 'utf8');
  writeFileSync(
    join(outDir, 'llms.txt'),
    file('llms.txt').replace(NEXT_HEADING, `### API\n\n${list}\n\n${NEXT_HEADING}`),
  );
  writeFileSync(
    join(outDir, 'llms-full.txt'),
    [file('llms-full.txt').trimEnd(), ...pages.map(({ text }) => text)].join('\n\n---\n\n'),
  );
}
