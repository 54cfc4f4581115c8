import type { DefaultTheme } from 'vitepress';
import { API_PACKAGES } from '../generate/write-api.ts';
import { TRAINERS } from '../generate/trainers.ts';

type Group = readonly [title: string, pages: Readonly<Record<string, string>>];

/** The groups of the navigation, in the order in which a reader needs them. Every page is in one of them. */
const GROUPS: readonly Group[] = [
  [
    'Start',
    {
      'start/install': 'Install',
      'start/five-minutes': 'Five minutes',
      'start/real-model': 'A real model',
      'start/own-data': 'Your own data',
      'start/on-a-gpu': 'On a GPU',
      'start/in-the-page': 'Try it here',
    },
  ],
  [
    'Decide',
    {
      'decide/will-it-fit': 'Will it fit?',
      'decide/method-and-preset': 'Method, preset, rank',
      'decide/settings': 'Choose settings',
      'decide/by-accuracy': 'Choose a rank by accuracy',
      'decide/compared': 'Compared with others',
      'decide/read-a-report': 'Read a report',
    },
  ],
  [
    'Understand',
    {
      'understand/nested-ranks': 'Nested ranks',
      'understand/which-rank': 'Which rank',
      'understand/nf4': 'NF4',
      'understand/memory': 'Where each byte goes',
      'understand/determinism': 'Determinism and resume',
    },
  ],
  [
    'Do',
    {
      'do/data-formats': 'Data formats',
      'do/chat-templates': 'Chat templates and masks',
      'do/tune': 'Find the learning rate',
      'do/continue': 'Continue a run',
      'do/finish': 'Finish one rank',
      'do/evaluate': 'Evaluate',
      'do/generate': 'Generate',
      'do/export-and-merge': 'Export and merge',
      'do/quantize': 'Quantize a model',
      'do/serve': 'Serve',
      'do/several-processes': 'Several processes and hosts',
      'do/when-it-fails': 'When it fails',
      'do/use-elsewhere': 'PEFT, vLLM, llama.cpp, Ollama',
      'do/own-trainer': 'A trainer of your own',
      'do/extend': 'Add an op, a kernel, a family',
    },
  ],
  ['Move here', Object.fromEntries(TRAINERS.map(({ file, title }) => [`move/${file}`, title]))],
  [
    'Reference',
    {
      'reference/commands': 'Commands',
      'reference/keys': 'Keys',
      'reference/events': 'Events',
      'reference/report': 'Report fields',
      'reference/errors': 'Errors',
      'reference/files': 'Files',
    },
  ],
  ['API', Object.fromEntries(API_PACKAGES.map((name) => [`reference/api/${name}`, name]))],
  [
    'Trust',
    {
      'trust/support': 'How it is tested',
      'trust/benchmarks': 'Benchmarks',
      'trust/limits': 'Limits',
      'research/every-rank': 'Is every rank as good?',
      'research/how-the-default-was-found': 'How the default was found',
      'agents/agents': 'For agents',
    },
  ],
];

export const SIDEBAR: DefaultTheme.SidebarItem[] = GROUPS.map(([text, pages]) => ({
  text,
  items: Object.entries(pages).map(([path, title]) => ({ text: title, link: `/${path}` })),
}));

export const NAVIGATION: DefaultTheme.NavItem[] = [
  { text: 'Start', link: '/start/install' },
  { text: 'Will it fit?', link: '/decide/will-it-fit' },
  { text: 'Keys', link: '/reference/keys' },
  { text: 'Commands', link: '/reference/commands' },
  { text: 'Errors', link: '/reference/errors' },
];
