import { defineConfig } from 'vitepress';
import llms from 'vitepress-plugin-llms';
import { emptyOnServer } from './empty-on-server.ts';
import { NAVIGATION, SIDEBAR } from './navigation.ts';
import { nodeStandIns } from './node-stand-ins.ts';
import { SEARCH_INDEX, SEARCH_QUERY } from './search.ts';
import { markTypedBlocks, renderForSearch, typeHovers } from './type-hovers.ts';
import { writeApiForAgents } from './write-api-for-agents.ts';

export default defineConfig({
  title: 'qdylora',
  description: 'Fine-tune a language model at every LoRA rank in one run, in TypeScript.',
  lang: 'en',
  cleanUrls: false,
  // no icon: a browser that is told of none asks for one
  head: [['link', { rel: 'icon', href: 'data:,' }]],
  srcExclude: ['node_modules/**', 'public/**'],
  // the usual themes have colours that are too faint on the grounds of report.html
  markdown: {
    theme: { light: 'github-light-high-contrast', dark: 'github-dark-high-contrast' },
    config: markTypedBlocks,
    codeTransformers: [typeHovers],
  },
  buildEnd: writeApiForAgents,
  themeConfig: {
    nav: NAVIGATION,
    sidebar: SIDEBAR,
    outline: [2, 3],
    search: {
      provider: 'local',
      options: {
        detailedView: true,
        _render: renderForSearch,
        miniSearch: { options: SEARCH_INDEX, searchOptions: SEARCH_QUERY },
        // the button shows `Ctrl K` too: its name has what is shown, in the same order
        translations: { button: { buttonText: 'Search ', buttonAriaLabel: 'Search K' } },
      },
    },
  },
  vite: {
    plugins: [nodeStandIns(), emptyOnServer(), llms({ ignoreFiles: ['reference/api/*'] })],
    // pages run the packages from their sources
    resolve: { conditions: ['source'] },
    esbuild: { target: 'es2022' },
    worker: { format: 'es', plugins: () => [nodeStandIns()] },
    build: { target: 'es2022', chunkSizeWarningLimit: 4000 },
  },
});
