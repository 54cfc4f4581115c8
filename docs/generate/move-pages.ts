import { snakeCase } from '@qdylora/contract';
import { defaultText, FOREIGN_NAMES, KEY_NAMES, KEYS } from '../app-sources.ts';
import { anchor, code, escapeText, generatedPage, table } from './markdown.ts';
import { TRAINERS, type Trainer } from './trainers.ts';

const KEY_OF = new Map(KEY_NAMES.map((name) => [snakeCase(name), name]));

/** One page for each other trainer: its names, and our key for each, as the command itself maps them. */
export const movePages = (): ReadonlyMap<string, string> =>
  new Map(TRAINERS.map((trainer) => [`${trainer.file}.md`, movePage(trainer)]));

const SAME_RUN = `These keys train one rank with the scale of PEFT and the schedule of transformers.
Use your own numbers:

\`\`\`yaml
method: qlora
lora_r: 16
lora_alpha: 32
lora_scaling: paper
learning_rate: 2e-4
lr_scheduler: linear
warmup_ratio: 0
\`\`\`

With \`lora_scaling: paper\`, all rows of B have the same learning rate (\`rank_rates: uniform\`).`;

const list = (items: readonly string[]): string => items.map((item) => `- ${item}`).join('\n');

function movePage(trainer: Trainer): string {
  const { title, place, names, notes, values = [], showsSameRun = false, absent } = trainer;
  const parts = [
    `The settings are in ${place}. Names that differ here are an error. Its message lists all of them, ` +
      `with what to write instead.`,
    table(['there', 'here', 'what it is', 'default here'], names.map(nameRow)),
    '## What is different',
    list(notes),
    ...(values.length > 0 ? ['## Values', table(['there', 'here'], values)] : []),
    ...(showsSameRun ? ['## To train as PEFT did', SAME_RUN] : []),
    '## Not here',
    list(absent.map((item) => `${item}.`)),
    '## The smallest file',
    '```yaml\nmodel: path/to/model\ndataset: rows.jsonl\nval_set_size: 0.1\noutput_dir: runs/first\n```',
    'Then `npx qdylora train run.yaml`. All other keys have defaults: see [Keys](/reference/keys).',
  ];
  const source = 'the names that packages/qdylora/src/config/names knows';
  return generatedPage(title, source, parts, ['aside: false', 'pageClass: wide-tables']);
}

function nameRow(name: string): string[] {
  const { key, isOpposite } = ourKey(name)!;
  const { about, ...rest } = KEYS[KEY_OF.get(key)!];
  const standard = /\(default: (.*)\)/.exec(defaultText({ about, ...rest }))?.[1];
  return [
    code(name),
    `[${code(key)}](/reference/keys#${anchor(key)})${isOpposite ? ', the opposite' : ''}`,
    escapeText(about),
    standard === undefined ? '' : code(standard),
  ];
}

/** Our key for a name; undefined for one that the code does not know. */
export const ourKey = (name: string): { readonly key: string; readonly isOpposite: boolean } | undefined =>
  KEY_OF.has(name) ? { key: name, isOpposite: false } : FOREIGN_NAMES.get(name);
