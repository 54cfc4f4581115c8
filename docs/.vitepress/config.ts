import { defineConfig } from 'vitepress';
import llms from 'vitepress-plugin-llms';
import { NAVIGATION, SIDEBAR } from './navigation.ts';
import { nodeStandIns } from './node-stand-ins.ts';

export default defineConfig({
  title: 'qdylora',
  description: 'Fine-tune a language model at every LoRA rank in one run, in TypeScript.',
  lang: 'en',
  cleanUrls: false,
  // no icon: a browser that is told of none asks for one
  head: [['link', { rel: 'icon', href: 'data:,' }]],
  srcExclude: ['node_modules/**', 'public/**'],
  // the usual themes have colours that are too faint on the grounds of report.html
  markdown: { theme: { light: 'github-light-high-contrast', dark: 'github-dark-high-contrast' } },
  themeConfig: {
    nav: NAVIGATION,
    sidebar: SIDEBAR,
    outline: [2, 3],
    search: { provider: 'local', options: { detailedView: true } },
  },
  vite: {
    plugins: [nodeStandIns(), llms({ ignoreFiles: ['reference/api/index.md'] })],
    // pages run the packages from their sources
    resolve: { conditions: ['source'] },
    esbuild: { target: 'es2022' },
    worker: { format: 'es', plugins: () => [nodeStandIns()] },
    build: { target: 'es2022', chunkSizeWarningLimit: 4000 },
  },
});
