import type { DefaultTheme } from 'vitepress';
import { API_PACKAGES } from '../generate/write-api.ts';
import { TRAINERS } from '../generate/trainers.ts';

/**
 * The groups of the navigation, in the order in which a reader needs them. A page that is not here is found
 * by no one.
 */
export const SIDEBAR: DefaultTheme.SidebarItem[] = [
  {
    text: 'Start',
    items: [
      { text: 'Install', link: '/start/install' },
      { text: 'Five minutes', link: '/start/five-minutes' },
      { text: 'A real model', link: '/start/real-model' },
      { text: 'Your own data', link: '/start/own-data' },
    ],
  },
  {
    text: 'Understand',
    items: [{ text: 'Which rank', link: '/understand/which-rank' }],
  },
  {
    text: 'Do',
    items: [
      { text: 'Data formats', link: '/do/data-formats' },
      { text: 'Chat templates and masks', link: '/do/chat-templates' },
      { text: 'Export and merge', link: '/do/export-and-merge' },
      { text: 'PEFT, vLLM, llama.cpp, Ollama', link: '/do/use-elsewhere' },
    ],
  },
  {
    text: 'Reference',
    items: [
      { text: 'Commands', link: '/reference/commands' },
      { text: 'Keys', link: '/reference/keys' },
      { text: 'Events', link: '/reference/events' },
      { text: 'Report fields', link: '/reference/report' },
      { text: 'Errors', link: '/reference/errors' },
      { text: 'Files', link: '/reference/files' },
      {
        text: 'API',
        collapsed: true,
        items: API_PACKAGES.map((name) => ({ text: name, link: `/reference/api/${name}` })),
      },
    ],
  },
  {
    text: 'Move here',
    collapsed: true,
    items: TRAINERS.map(({ file, title }) => ({ text: title, link: `/move/${file}` })),
  },
  {
    text: 'Trust',
    items: [{ text: 'Is every rank as good?', link: '/research/every-rank' }],
  },
];

export const NAVIGATION: DefaultTheme.NavItem[] = [
  { text: 'Start', link: '/start/install' },
  { text: 'Reference', link: '/reference/commands' },
];
