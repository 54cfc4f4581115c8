import { execFileSync } from 'node:child_process';
import { openSync, closeSync, ftruncateSync, writeFileSync, writeSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { describe, expect, it } from 'vitest';
import { createChatTemplate, loadDataset, loadTokenizer, openDataset } from '../src/index.ts';
import { unknownPattern } from '../src/tokenizer/guard-patterns.ts';
import { checkTokenizerJson } from '../src/tokenizer/check-tokenizer-json.ts';
import { jsonElements } from '../src/rows/json/json-elements.ts';
import { BEGINNING, MAX_LINE_BYTES } from '../src/rows/read-lines.ts';
import { tokenizerFixtures, tokenizerJson } from './fixtures.ts';
import { temporaryFiles } from './temporary-files.ts';

const files = temporaryFiles();
const user = { role: 'user', content: 'x' };

/** Seconds that `body` takes of this process, and what it throws. */
async function timed(body: () => unknown): Promise<{ seconds: number; error: unknown }> {
  const before = process.cpuUsage();
  const error: unknown = await Promise.resolve()
    .then(body)
    .then(
      () => null,
      (thrown: unknown) => thrown,
    );
  const { user, system } = process.cpuUsage(before);
  return { seconds: (user + system) / 1e6, error };
}

describe(
  'a hostile template ends within a second of work, with an error that names the template and the ' + 'place',
  () => {
    it.each<[string, string, RegExp]>([
      [
        'a range of a billion',
        '{% for i in range(10 ** 9) %}x{% endfor %}',
        /\[chat template\] The template asks for a range of 1000000000 numbers/,
      ],
      [
        'a list of twice itself, again and again, printed',
        '{% set ns = namespace(v=[1]) %}{% for i in range(40) %}{% set ns.v = [ns.v, ns.v] %}{% endfor %}' +
          '{{ ns.v }}',
        /more than 1000000 steps/,
      ],
      [
        'a list of twice itself, as JSON',
        '{% set ns = namespace(v=[1]) %}{% for i in range(40) %}{% set ns.v = [ns.v, ns.v] %}{% endfor %}' +
          '{{ ns.v | tojson }}',
        /more than 1000000 steps/,
      ],
      [
        'a list of twice itself, compared',
        '{% set ns = namespace(v=[1], w=[1]) %}{% for i in range(40) %}{% set ns.v = [ns.v, ns.v] %}{% set ' +
          'ns.w = [ns.w, ns.w] %}{% endfor %}{{ ns.v == ns.w }}',
        /more than 1000000 steps/,
      ],
      [
        'loops inside loops',
        '{% for i in range(50000) %}{% for j in range(50000) %}{% endfor %}{% endfor %}',
        /more than 1000000 steps/,
      ],
      [
        'loops inside loops that write',
        '{% for i in range(50000) %}{% for j in range(50000) %}{{ messages }}{% endfor %}{% endfor %}',
        /more than 1000000 steps|a text of more than/,
      ],
      [
        'a text that doubles',
        `{% set ns = namespace(x='ab') %}{% for i in range(60) %}{% set ns.x = ns.x + ns.x %}{% endfor %}` +
          `{{ ns.x }}`,
        /a text of more than \d+ elements/,
      ],
      [
        'a list that doubles',
        `{% set ns = namespace(x=[1]) %}{% for i in range(60) %}{% set ns.x = ns.x + ns.x %}{% endfor %}`,
        /a list of more than \d+ elements/,
      ],
      [
        'replace that multiplies',
        `{% set ns = namespace(x='aaaaaaaaaaaaaaaa') %}{% for i in range(20) %}{% set ns.x = ` +
          `ns.x.replace('a', 'aaaaaaaaaaaaaaaa') %}{% endfor %}`,
        /a text of more than \d+ elements/,
      ],
      [
        'the filter that multiplies',
        `{% set ns = namespace(x='aaaaaaaaaaaaaaaa') %}{% for i in range(20) %}{% set ns.x = ns.x | ` +
          `replace('', 'aaaaaaaaaaaaaaaa') %}{% endfor %}`,
        /a text of more than \d+ elements/,
      ],
      [
        'a macro that calls itself',
        '{% macro f(x) %}{{ f(x) }}{% endmacro %}{{ f(1) }}',
        /Maximum call stack|more than|not a function/,
      ],
      ['two megabytes of source', 'x'.repeat(2 ** 21), /The template has 2097152 characters/],
      ['brackets a million deep', `{{ ${'('.repeat(4e5)}1 }}`, /cannot be read at line 1, column 1/],
    ])('%s', async (_, source, message) => {
      const template = createChatTemplate(source);
      const { seconds, error } = await timed(() => template.render([user]));
      expect(error).toMatchObject({
        message: expect.stringMatching(message) as string,
        code: expect.stringMatching(/BAD_CONFIG|BAD_DATA|UNSUPPORTED/) as string,
      });
      expect(seconds).toBeLessThan(3); // a second where nobody else computes
    });

    it('and leaves a conversation of two thousand turns alone', () => {
      const template = createChatTemplate(
        '{% for m in messages %}{% if m.role == "user" %}{{ "U:" + m.content | trim }}{% else %}{{ "A:" + ' +
          'm.content }}{% endif %}{{ "\\n" }}{% endfor %}',
      );
      expect(
        template.render(
          Array.from({ length: 2000 }, (_, i) => ({
            role: i % 2 ? 'assistant' : 'user',
            content: 'words '.repeat(200),
          })),
        ).length,
      ).toBeGreaterThan(2e6);
    });
  },
);

describe('a template with Jinja that is not known here is refused with the place', () => {
  it.each<[string, string, string, RegExp]>([
    [
      'a filter',
      'one\n{{ messages[0].content | shout }}',
      'UNSUPPORTED',
      /Unknown filter: shout at line 2, column 26 \(shout\)/,
    ],
    [
      'a test',
      'one\n\n  {% if messages is prime %}{% endif %}',
      'UNSUPPORTED',
      /Unknown test: prime at line 3, column 21 \(prime\)/,
    ],
    ['a function', '{{ lipsum(3) }}', 'UNSUPPORTED', /not a function.* at line 1, column 4 \(lipsum\)/],
    [
      'a method',
      '{{ messages[0].content.zfill(3) }}',
      'UNSUPPORTED',
      /not a function.* at line 1, column 24 \(zfill\)/,
    ],
    [
      'a statement',
      'text\n{% for m in messages %}\n{% include "other" %}{% endfor %}',
      'UNSUPPORTED',
      /cannot be read at line 3, column 1 \(\{% include "other" %\}\): Unknown statement type: include/,
    ],
    [
      'a loop without an end',
      '{% for m in messages %}{{ m }}',
      'BAD_CONFIG',
      /cannot be read at line 1, column \d+/,
    ],
    [
      'a character outside the language',
      'a\n b {{ messages $ 3 }}',
      'BAD_CONFIG',
      /cannot be read at line 2, column 4 \(\{\{ messages \$ 3 \}\}\): Unexpected character: \$/,
    ],
  ])('%s', (_, source, code, message) => {
    expect(() => createChatTemplate(source).render([user])).toThrow(
      expect.objectContaining({ code, message: expect.stringMatching(message) as string }),
    );
  });
});

describe('a hostile tokenizer.json', () => {
  const tiny = tokenizerJson('tiny-llama3-style') as { pre_tokenizer: object };
  const withPattern = (pattern: string): unknown => ({
    ...tiny,
    pre_tokenizer: {
      type: 'Sequence',
      pretokenizers: [{ type: 'Split', pattern: { Regex: pattern }, behavior: 'Isolated', invert: false }],
    },
  });

  it.each(['^(a+)+$', '(a|a)*b', '(a+a+)+b'])(
    'with the pattern %s is stopped when a text takes too long',
    async (pattern) => {
      const tokenizer = loadTokenizer({
        tokenizerJson: withPattern(pattern),
        tokenizerConfig: null,
        chatTemplate: null,
      });
      const { seconds, error } = await timed(() => tokenizer.encode(`${'a'.repeat(40)}!`));
      expect(error).toMatchObject({
        code: 'BAD_FILE',
        message: expect.stringContaining(JSON.stringify(pattern)) as string,
      });
      expect(seconds).toBeLessThan(4);
    },
  );

  it('with an odd but harmless pattern gives its tokens', () => {
    const tokenizer = loadTokenizer({
      tokenizerJson: withPattern('[a-z]+'),
      tokenizerConfig: null,
      chatTemplate: null,
    });
    expect(tokenizer.decode(tokenizer.encode('the king'))).not.toBe('');
  });

  it('is not suspected where it has the pattern of a well-known model', () => {
    for (const [name, folder] of tokenizerFixtures())
      expect(unknownPattern(checkTokenizerJson(tokenizerJson(name, folder))), name).toBeNull();
  });
});

describe('a hostile dataset', () => {
  it('of one line of two gigabytes is refused in a second and a hundred megabytes', () => {
    const file = `${files.folder}/line.jsonl`;
    const descriptor = openSync(file, 'w');
    writeSync(descriptor, '{"text":"');
    ftruncateSync(descriptor, 2 ** 31); // a hole: reads as NUL, takes no space
    closeSync(descriptor);
    const source = fileURLToPath(new URL('../src/index.ts', import.meta.url));
    const child = files.write(
      'child.mts',
      `
      import { loadDataset, openDataset } from ${JSON.stringify(source)};
      const before = process.resourceUsage().maxRSS, cpu = process.cpuUsage(), codes = [];
      for (const read of [loadDataset, openDataset]) codes.push(
        await read(${JSON.stringify(file)}, { tokenizer: null })
          .then(() => 'none', (error) => error.code + ' ' + error.where),
      );
      const { user, system } = process.cpuUsage(cpu);
      const megabytes = (process.resourceUsage().maxRSS - before) / 1024;
      console.log(JSON.stringify({ codes, megabytes, seconds: (user + system) / 1e6 }));
    `,
    );
    const { codes, megabytes, seconds } = JSON.parse(
      execFileSync(process.execPath, ['--conditions=source', '--import', import.meta.resolve('tsx'), child], {
        encoding: 'utf8',
      }),
    ) as { codes: string[]; megabytes: number; seconds: number };
    expect(codes).toEqual([`BAD_DATA ${file}:1`, `BAD_DATA ${file}:1`]);
    expect(megabytes).toBeLessThan(100);
    expect(seconds).toBeLessThan(2);
  });

  it.each<[string, string, RegExp]>([
    [
      'a JSON list that is cut',
      '[{"input_ids":[1,2]},\n {"input_ids":[1',
      /list\.json:2\] The JSON list has no \] at its end/,
    ],
    [
      'a JSON list with a hole',
      '[{"input_ids":[1,2]},\n,\n{"input_ids":[1,2]}]',
      /list\.json:2\] There is no JSON object between commas/,
    ],
    [
      'a JSON list with a comma at the end',
      '[{"input_ids":[1,2]},\n]',
      /list\.json:2\] There is no JSON object between commas/,
    ],
    [
      'words behind a JSON list',
      '[{"input_ids":[1,2]}]\n\nmore',
      /list\.json:3\] There is more text after the JSON list/,
    ],
    [
      'a JSON list that a brace closes',
      '[{"input_ids":[1,2]},\n{"input_ids":[3,4]}}',
      /list\.json:2\] The JSON list is closed by \} in place of \]/,
    ],
    ['an empty JSON list', ' [ ] ', /no rows: it is an empty JSON list/],
    ['a JSON list of lists', '[[1,2]]', /:1, byte 2\] A row must be a JSON object \(got a list/],
    ['a JSON list nested a million deep', `[${'['.repeat(1e6)}`, /list\.json:1\] The JSON list has no \]/],
    ['a file that says it is Parquet', 'PAR1 and no more', /The Parquet file cannot be read/],
  ])('that is %s is refused, naming the line', async (_, content, message) => {
    const file = files.write('list.json', content);
    for (const read of [loadDataset, openDataset])
      await expect(read(file, { tokenizer: null })).rejects.toMatchObject({
        code: 'BAD_DATA',
        message: expect.stringMatching(message) as string,
      });
  });

  it('that is Parquet without a row is refused in those words', async () => {
    const file = files.write(
      'none.parquet',
      new Uint8Array(parquetWriteBuffer({ columnData: [{ name: 'text', data: [], type: 'STRING' }] })),
    );
    for (const read of [loadDataset, openDataset])
      await expect(read(file, { tokenizer: null })).rejects.toMatchObject({
        code: 'BAD_DATA',
        message: expect.stringMatching(/no rows: it is a Parquet file without rows/) as string,
      });
  });

  it(
    'with bad rows of every kind gives the good ones under on_bad_row: skip, and says how many were bad ' +
      'and why',
    async () => {
      const good = '{"input_ids":[1,2]}';
      const bad = [
        '{"input_ids":[1,',
        '[1]',
        'null',
        '{"text":"x"}',
        '{"input_ids":"x"}',
        '{"input_ids":[1],"__proto__":1}',
        `{"input_ids":${'['.repeat(200)}${']'.repeat(200)}}`,
        '\u0000',
        `{"x":"${'y'.repeat(17 * 2 ** 20)}"}`,
      ];
      const file = files.write('mixed.jsonl', [good, ...bad.flatMap((row) => [row, good])].join('\n'));
      const loaded = await loadDataset(file, { tokenizer: null, onBadRow: 'skip' });
      using opened = await openDataset(file, { tokenizer: null, onBadRow: 'skip' });
      for (const { training, report } of [loaded, opened]) {
        expect([training.length, report.rows, report.skipped, report.skippedMessages.length]).toEqual([
          bad.length + 1,
          bad.length + 1,
          bad.length,
          5,
        ]);
        expect(report.notes.at(-1)).toMatch(
          /^9 rows could not be used and were skipped\. The first: \[.*mixed\.jsonl:2\] .*malformed JSON/,
        );
      }
      expect(opened.training.at(opened.training.length - 1)!.source!.line).toBe(2 * bad.length + 1);
      await expect(loadDataset(file, { tokenizer: null })).rejects.toMatchObject({ where: `${file}:2` });
    },
  );

  it('with a row over 16 MiB in a JSON list leaves out that row alone under on_bad_row: skip', async () => {
    const rows = [{ input_ids: [1, 2] }, { x: 'x'.repeat(17 * 2 ** 20) }, { input_ids: [3, 4] }];
    const file = files.write('long.json', JSON.stringify(rows));
    const { training, report } = await loadDataset(file, { tokenizer: null, onBadRow: 'skip' });
    expect(training.map(({ ids }) => [...ids])).toEqual([
      [1, 2],
      [3, 4],
    ]);
    expect(report.skippedMessages.join()).toMatch(/long\.json:1.*more than 16777216 bytes/);
    await expect(loadDataset(file, { tokenizer: null })).rejects.toThrow(/more than 16777216 bytes/);
  });

  it.each([
    ['[{"input_ids":[1,2]},{"x":1}]', ':1, byte 22'],
    ['[\n{"input_ids":[1,2]},\n{"x":1}\n]', ':3'],
    ['[{"input_ids":[1,2]},,{"x":1}]', ':1, byte 22'],
  ])('tells where the bad row of %j is', async (content, place) => {
    const file = files.write('place.json', content);
    await expect(loadDataset(file, { tokenizer: null })).rejects.toMatchObject({ where: `${file}${place}` });
  });

  it('with a row of one byte over 16 MiB in a JSON list is refused, of 16 MiB is not', () => {
    const rowOf = (size: number): string => `{"x":"${'x'.repeat(size - '{"x":""}'.length)}"}`;
    const lengths = (size: number): number[] => {
      const file = files.write('limit.json', `[${rowOf(size)}]`);
      const descriptor = openSync(file, 'r');
      try {
        const elements = jsonElements(descriptor, file, { place: BEGINNING, isInside: false });
        return Array.from(elements, ({ bytes }) => bytes.length);
      } finally {
        closeSync(descriptor);
      }
    };
    expect(lengths(MAX_LINE_BYTES)).toEqual([MAX_LINE_BYTES]);
    expect(() => lengths(MAX_LINE_BYTES + 1)).toThrow(
      /limit\.json:1, byte 2\] A row has more than 16777216 bytes/,
    );
  });

  it('of nothing but bad rows is an error under on_bad_row: skip, too', async () => {
    writeFileSync(`${files.folder}/all.jsonl`, '{"a":1}\n{"b":2}\n');
    for (const read of [loadDataset, openDataset])
      await expect(read(`${files.folder}/all.jsonl`, { tokenizer: null, onBadRow: 'skip' })).rejects.toThrow(
        /2 rows cannot be used: \[.*all\.jsonl:1\]/,
      );
  });
});
