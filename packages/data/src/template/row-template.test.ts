import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryFolder } from '@qdylora/testing/node';
import { describe, expect, it } from 'vitest';
import { readRowValues } from '../rows/read-row-values.ts';
import { templateValue, type Dict } from '../jinja/python/values.ts';
import { createRowTemplate } from './row-template.ts';

const ROW = templateValue({ question: 'Why? ', choices: { text: ['a', 'b'], label: ['A', 'B'] }, key: 'B' });
const render = (source: string): string =>
  createRowTemplate(source, 'quiz, doc_to_text').render(ROW as Dict, 'test.jsonl:3');

describe('a template over a row', () => {
  it.each([
    ['{{question}}\n', 'Why? \n'],
    ['{% if key %}\n yes\n{% endif %}\n', '\n yes\n\n'],
    ['{{choices.label.index(key)}}', '1'],
    ['{{choices.text}}', "['a', 'b']"],
    ["{{missing if missing is defined else 'none'}}", 'none'],
    ["{{missing|default('d')}}{{choices.gone is defined}}", 'dFalse'],
    ["{{question|regex_replace('[a-z]', '.')}}", 'W..? '],
    ["{{question|regex_replace('[a-z]', '.', 1)}}", 'W.y? '],
    ['{{choices.label.count(key)}}', '1'],
    ["{% for c in choices.text %}{{c}}{{', ' if not loop.last}}{% endfor %}", 'a, b'],
    ['{% for c in choices.text %}{{loop.depth}}{{loop.depth0}} {% endfor %}', '10 10 '],
    ["{{('y' if not key)|length}}{{('y' if not key) is defined}}", '0False'],
    ["{{'\u00dfe \u01c6A'|title}}", 'SSe \u01c4a'],
  ])('%j is rendered as the harness renders it', (source, expected) => {
    expect(render(source)).toBe(expected);
  });

  it.each([
    ['{{missing}}', "fails on this row at line 1, column 3 (missing): 'missing' is undefined"],
    ['{{choices.gone}}', 'at line 1, column 11 (gone)'],
    ['\n{{choices.gone.more}}', 'fails on this row at line 2'],
    ['{{choices.label.index(question)}}', 'is not in the list'],
    ['{% if missing %}a{% endif %}', "'missing' is undefined"],
  ])('%j fails with the row and the place', (source, message) => {
    expect(() => render(source)).toThrow(message);
  });

  it('a template beyond its limits is named, not the row', () => {
    expect(() => render("{{ '-' * 10 ** 6 }}")).toThrow(
      expect.objectContaining({
        code: 'BAD_CONFIG',
        where: 'quiz, doc_to_text',
        message: expect.stringMatching(
          /asks for a text of more than \d+ elements.* beyond its limits/,
        ) as string,
      }),
    );
  });

  it('a template that is no Jinja is named', () => {
    expect(() => render('{{ a')).toThrow(
      '[quiz, doc_to_text] The template cannot be read at line 1, column 1',
    );
  });

  it('rows keep the order of their keys, and floats stay floats', async () => {
    const file = join(temporaryFolder(), 'rows.jsonl');
    writeFileSync(file, '\n{"b": 1.0, "2": 3}\n');
    const [row, ...others] = await readRowValues(file);
    expect(others).toEqual([]);
    expect(row!.where).toBe(`${file}:2`);
    expect(createRowTemplate('{{b}}', 't').render(row!.value, row!.where)).toBe('1.0');
    expect([...row!.value.keys()]).toEqual(['b', '2']);
  });

  it('a file without rows, and a row that is no object, are refused', async () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'empty.jsonl'), '\n');
    writeFileSync(join(folder, 'list.jsonl'), '{"a": 1}\n[1]\n');
    await expect(readRowValues(join(folder, 'empty.jsonl'))).rejects.toThrow('no rows');
    await expect(readRowValues(join(folder, 'list.jsonl'))).rejects.toThrow('list.jsonl:2');
  });
});
