import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryFolder } from '@qdylora/testing/node';
import { expect, it } from 'vitest';
import { readOwnTask } from './own-task.ts';

const FIELDS = 'test_split: test\ndoc_to_text: q\ndoc_to_target: a\n';

function tasksWith(files: Readonly<Record<string, string>>): string {
  const folder = temporaryFolder();
  mkdirSync(join(folder, 'shared'));
  for (const [file, text] of Object.entries(files)) writeFileSync(join(folder, file), text);
  return folder;
}

it('a file is included from the folder of the file that names it, or from anywhere by its whole path', () => {
  const folder = tasksWith({
    'task.yaml': 'include: shared/half.yaml\ntask: quiz\n',
    'shared/half.yaml': 'include: fields.yaml\ndescription: "nested"\n',
    'shared/fields.yaml': FIELDS,
  });
  const { name, description, splits } = readOwnTask(join(folder, 'task.yaml'));
  expect([name, description, splits.test]).toEqual(['quiz', 'nested', 'test']);
  const absolute = join(folder, 'absolute.yaml');
  writeFileSync(absolute, `include: ${JSON.stringify(join(folder, 'shared/half.yaml'))}\ntask: other\n`);
  expect(readOwnTask(absolute).description).toBe('nested');
});

it('files that include each other are refused', () => {
  const folder = tasksWith({
    'task.yaml': `include: shared/a.yaml\ntask: quiz\n${FIELDS}`,
    'shared/a.yaml': 'include: b.yaml\n',
    'shared/b.yaml': 'include: ../shared/a.yaml\n',
    'alone.yaml': 'include: alone.yaml\n',
  });
  const path = (file: string): string => join(folder, file);
  expect(() => readOwnTask(path('task.yaml'))).toThrow(
    `[${path('shared/b.yaml')}] The file cannot be read as a task: ` +
      `it includes ${path('shared/a.yaml')}, which includes it`,
  );
  expect(() => readOwnTask(path('alone.yaml'))).toThrow(`it includes ${path('alone.yaml')}`);
});
