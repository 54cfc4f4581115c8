import { defineConfig } from 'vitepress';
import llms from 'vitepress-plugin-llms';
import { NAVIGATION, SIDEBAR } from './navigation.ts';

export default defineConfig({
  title: 'qdylora',
  description: 'Fine-tune a language model at every LoRA rank in one run, in TypeScript.',
  lang: 'en',
  cleanUrls: false,
  srcExclude: ['node_modules/**', 'generate/**', 'test/**', 'README.md'],
  themeConfig: {
    nav: NAVIGATION,
    sidebar: SIDEBAR,
    outline: [2, 3],
    search: { provider: 'local', options: { detailedView: true } },
  },
  vite: {
    plugins: [llms({ domain: '', ignoreFiles: ['reference/api/index.md'] })],
    resolve: { conditions: ['source'] },
    worker: { format: 'es' },
    build: { chunkSizeWarningLimit: 2000 },
  },
});
