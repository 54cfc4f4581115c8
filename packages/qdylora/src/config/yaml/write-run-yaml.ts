import { snakeCase } from '@qdylora/contract';
import { KEY_GROUPS, type Key } from '../key.ts';
import { KEY_NAMES, KEYS } from '../keys.ts';
import type { RunConfig } from '../resolve-run.ts';

/** A resolved run as YAML, in groups of keys. `train` reads it again. */
export async function runYaml(config: RunConfig): Promise<string> {
  const { stringify } = await import('yaml');
  const text = (value: unknown): string =>
    stringify(value, {
      ...ON_ONE_LINE,
      defaultStringType: typeof value === 'string' && value.includes('\n') ? 'QUOTE_DOUBLE' : 'PLAIN',
    }).trimEnd();
  const groups = KEY_GROUPS.filter((group) =>
    KEY_NAMES.some((name) => (KEYS[name] as Key).group === group),
  ).map((group) => {
    const names = KEY_NAMES.filter((name) => (KEYS[name] as Key).group === group);
    const lines = names.map((name) => `${snakeCase(name)}: ${text(withUnit(KEYS[name], config[name]))}`);
    return [`# ${group}`, ...lines, ''].join('\n');
  });
  return (
    `# Every value of this run, defaults included. \`npx qdylora train\` reads it ` +
    `again.\n\n${groups.join('\n')}`
  );
}

/** Bytes need a unit: YAML refuses small numbers without one. */
function withUnit({ flag }: Key, value: unknown): unknown {
  if (flag === 'size' && value !== null) return `${value as number}B`;
  if (flag === 'word-or-sizes' && Array.isArray(value)) return value.map((bytes) => `${bytes as number}B`);
  return value;
}

const ON_ONE_LINE = { lineWidth: 0, collectionStyle: 'flow', flowCollectionPadding: false } as const;
