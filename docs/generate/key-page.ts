import { snakeCase } from '@qdylora/contract';
import {
  defaultText,
  FOREIGN_NAMES,
  KEY_GROUPS,
  KEY_NAMES,
  KEYS,
  kebabCase,
  type Key,
} from '../app-sources.ts';
import { anchor, code, escapeText, generatedPage, table } from './markdown.ts';

/** Every key of a run, by group: one heading each, with its YAML name, its flag, its option and its check. */
export function keyPage(): string {
  const groups = KEY_GROUPS.filter((group) => KEY_NAMES.some((name) => KEYS[name].group === group));
  return generatedPage('Keys', 'packages/qdylora/src/config/keys', [
    `A run has ${KEY_NAMES.length} keys. Each has one name in three spellings: \`lora_r: 64\` in ` +
      `\`run.yaml\`, ` +
      '`--lora-r 64` as a flag, `loraR: 64` as an option of `finetune`. Flags override the file. An ' +
      'unknown key is an ' +
      'error that names the nearest one.',
    ...groups.flatMap((group) => [
      `## ${group} {#group-${anchor(group)}}`,
      ...KEY_NAMES.filter((name) => KEYS[name].group === group).map((name) => keySection(name, KEYS[name])),
    ]),
  ]);
}

function keySection(name: string, key: Key): string {
  const yaml = snakeCase(name);
  const others = [...FOREIGN_NAMES].filter(([, ours]) => ours.key === yaml).map(([theirs]) => code(theirs));
  const rows = [
    ['flag', code(`--${kebabCase(name)}`)],
    ['option', code(name)],
    ['value', escapeText(key.expected)],
    ['default', defaultOf(key)],
    ...(others.length > 0 ? [['name in other trainers', others.join(', ')]] : []),
  ];
  return `### ${yaml} {#${anchor(yaml)}}\n\n${escapeText(key.about)}.\n\n${table(['', ''], rows)}`;
}

function defaultOf(key: Key): string {
  const text = /^ \(default: (.*)\)$/.exec(defaultText(key))?.[1];
  if (text !== undefined) return code(text);
  return /\bdefault\b/.test(key.about) ? 'see above' : 'none';
}
