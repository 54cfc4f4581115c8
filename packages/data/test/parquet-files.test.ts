import { execFileSync } from 'node:child_process';
import { closeSync, fstatSync, openSync, readFileSync, readSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { describe, expect, it } from 'vitest';
import { createChatTemplate, loadDataset, openDataset, type Example } from '../src/index.ts';
import { spoolParquet } from '../src/rows/parquet/spool-parquet.ts';
import { fixtureTokenizer } from './fixtures.ts';
import { jsonl, temporaryFiles } from './temporary-files.ts';

const files = temporaryFiles();
const smol = fixtureTokenizer('smollm2', 'own');

/**
 * A file of JSON columns with these texts. The writer takes values and writes its own JSON, so it gets
 * numbers in quotes, as long as the texts that then take their places.
 */
function jsonColumns(texts: Readonly<Record<string, readonly string[]>>): Uint8Array {
  const placed: (readonly [standIn: string, text: string])[] = [];
  const columnData = Object.entries(texts).map(([name, column]) => ({
    name,
    type: 'JSON' as const,
    data: column.map((text) => {
      const standIn = String(placed.length).padStart(Math.max(16, text.length - 2), '0');
      placed.push([JSON.stringify(standIn), text.padEnd(standIn.length + 2)]);
      return standIn;
    }),
  }));
  let bytes = Buffer.from(parquetWriteBuffer({ columnData, codec: 'UNCOMPRESSED' })).toString('latin1');
  for (const [standIn, text] of placed) bytes = bytes.replaceAll(standIn, text);
  return new Uint8Array(Buffer.from(bytes, 'latin1'));
}

describe('a Parquet file', () => {
  const rows = Array.from({ length: 1300 }, (_, i) => ({
    question: `What is ${i}?`,
    answer: `é ${i}`,
    id: BigInt(i),
  }));
  const column = (name: keyof (typeof rows)[number], type: 'STRING' | 'INT64') => ({
    name,
    data: rows.map((row) => row[name]),
    type,
  });
  const file = files.write(
    'rows.parquet',
    new Uint8Array(
      parquetWriteBuffer({
        columnData: [column('question', 'STRING'), column('answer', 'STRING'), column('id', 'INT64')],
        rowGroupSize: 500,
      }),
    ),
  );

  it('has the examples of the same rows as JSON lines, loaded and streamed', async () => {
    const tokenizer = fixtureTokenizer('tiny-llama2-style');
    const lines = files.write(
      'same.jsonl',
      jsonl(...rows.map(({ question, answer }) => ({ question, answer }))),
    );
    const numbers = (examples: readonly Example[]): number[][] =>
      examples.map(({ ids, labels }) => [...ids, ...labels]);
    const { training } = await loadDataset(lines, { tokenizer });
    const loaded = await loadDataset(file, { tokenizer });
    using opened = await openDataset(file, { tokenizer });
    expect(numbers(loaded.training)).toEqual(numbers(training));
    expect(numbers(Array.from({ length: opened.training.length }, (_, i) => opened.training.at(i)!))).toEqual(
      numbers(training),
    );
    expect(opened.training.at(1134)!.source).toEqual({ file, line: 1135 });
  });

  it('with text that is not UTF-8 names the row, and other columns of bytes do no harm', async () => {
    const latin = new Uint8Array([0x63, 0x61, 0x66, 0xe9]);
    const written = (text: (string | Uint8Array)[]): string =>
      files.write(
        'bytes.parquet',
        new Uint8Array(
          parquetWriteBuffer({
            columnData: [
              { name: 'text', data: text, type: 'BYTE_ARRAY' },
              { name: 'image', data: [latin, latin], type: 'BYTE_ARRAY' },
            ],
          }),
        ),
      );
    await expect(loadDataset(written(['good text', latin]), { tokenizer: smol })).rejects.toThrow(
      /row 2\] .text. must be a string \(got bytes that are not UTF-8\)/,
    );
    const { training } = await loadDataset(written(['good text', '\uFEFFmarked']), { tokenizer: smol });
    expect(smol.decode(training[1].ids)).toContain('\uFEFFmarked');
  });

  it('has numbers that a template writes as Python does', async () => {
    const chatTemplate = createChatTemplate(
      '{% for m in messages %}{% for c in m.tool_calls or [] %}{{ c.function.arguments | tojson }}{{ "|" ' +
        '}}{{ c.function.arguments }}{% endfor %}{{ m.content or "" }};{% endfor %}{% if ' +
        'add_generation_prompt %}assistant{% endif %}',
    );
    const { rows: expected } = JSON.parse(
      readFileSync(new URL('../fixtures/parquet-rows.expected.json', import.meta.url), 'utf8'),
    ) as { readonly rows: readonly { readonly json: string; readonly str: string }[] };
    const { training } = await loadDataset(
      fileURLToPath(new URL('../fixtures/parquet-rows.parquet', import.meta.url)),
      { tokenizer: { ...smol, chatTemplate }, maxSeqLength: 2048 },
    );
    expect(training.map((example) => smol.decode(example.ids))).toEqual(
      expected.map(({ json, str }) => `q;${json}|${str};`),
    );
  });

  it('has the values of JSON columns as they are written', async () => {
    const tools = '[{"f":\n{"b":1.0,"10":12345678901234567890,"a":2e0}}]';
    const messages = '[{"role":"user","content":"q"},{"role":"assistant","content":"a"}]';
    const chatTemplate = createChatTemplate(
      '{{ tools | tojson }}{% for m in messages %}|{{ m.content }}{% endfor %}',
    );
    const { training, report } = await loadDataset(
      files.write('json.parquet', jsonColumns({ messages: [messages], tools: [tools] })),
      { tokenizer: { ...smol, chatTemplate }, completionOnlyLoss: false },
    );
    expect(report.format).toBe('messages');
    expect(smol.decode(training[0].ids)).toBe(
      '[{"f": {"b": 1.0, "10": 12345678901234567890, "a": 2.0}}]|q|a',
    );
  });

  it('with malformed JSON names the row that needs it, and other columns of JSON do no harm', async () => {
    const written = (content: Record<string, string[]>): string =>
      files.write('malformed.parquet', jsonColumns(content));
    const texts = ['"good text"', '"more text"', '"last text"'];
    const scores = ['1', '{"a":NaN}', ''];
    const whole = await loadDataset(written({ text: texts, score: scores }), { tokenizer: smol });
    expect(whole.training).toHaveLength(3);
    const broken = written({ text: [texts[0], 'NaN', texts[2]], score: scores });
    await expect(loadDataset(broken, { tokenizer: smol })).rejects.toThrow(
      /malformed\.parquet, row 2\] "text" holds JSON that cannot be parsed\. Correct or delete this row/,
    );
    const { training, report } = await loadDataset(broken, { tokenizer: smol, onBadRow: 'skip' });
    expect([training.length, report.skipped]).toEqual([2, 1]);
  });

  it('of pyarrow with LZ4 may have a column without values', async () => {
    const { training } = await loadDataset(
      fileURLToPath(new URL('../fixtures/parquet-lz4.parquet', import.meta.url)),
      { tokenizer: smol },
    );
    expect(training.map((example) => smol.decode(example.ids, { skipSpecialTokens: true }))).toEqual([
      'the king',
      'a queen',
    ]);
  });

  it('that finds no room for its rows says where it needs some', async ({ onTestFinished }) => {
    const { TMPDIR: before } = process.env;
    onTestFinished(() => {
      if (before === undefined) delete process.env.TMPDIR;
      else process.env.TMPDIR = before;
    });
    process.env.TMPDIR = `${files.folder}/nowhere`;
    await expect(loadDataset(file, { tokenizer: null })).rejects.toMatchObject({
      code: 'WRITE_FAILED',
      where: file,
      message: expect.stringMatching(/cannot be written to .*nowhere as JSON.*TMPDIR/) as string,
    });
  });

  it('that finds no descriptor for its rows says which limit to raise', () => {
    const child = files.write(
      'descriptors.mts',
      `import { closeSync, openSync } from 'node:fs';
      import { loadDataset } from ${JSON.stringify(new URL('../src/index.ts', import.meta.url).href)};
      const file = ${JSON.stringify(file)};
      const read = () => loadDataset(file, { tokenizer: null }).catch(({ code, message }) => code + message);
      await read(); // loads the modules
      const open = [];
      try {
        for (;;) open.push(openSync(file));
      } catch {
        closeSync(open.pop()); // for the file itself
      }
      const text = await read();
      open.forEach((descriptor) => closeSync(descriptor));
      console.log(text);`,
    );
    const command = 'ulimit -n 200; exec "$0" --conditions=source --import "$1" "$2"';
    const args = ['-c', command, process.execPath, import.meta.resolve('tsx'), child];
    expect(execFileSync('sh', args, { encoding: 'utf8' })).toMatch(
      /^WRITE_FAILED.* EMFILE: .*Raise the limit of open files \(ulimit -n\)\./,
    );
  });

  it('that is damaged anywhere is refused, or gives rows', async () => {
    const tokenizer = fixtureTokenizer('tiny-llama2-style');
    const bytes = readFileSync(file);
    for (let cut = 1; cut < 40; cut++) {
      const broken = Buffer.from(bytes);
      broken.fill(0xff, Math.floor((cut / 40) * bytes.length), Math.floor((cut / 40) * bytes.length) + 16);
      const error: unknown = await loadDataset(files.write('broken.parquet', broken), {
        tokenizer,
        limit: 50,
      }).then(
        () => null,
        (thrown: unknown) => thrown,
      );
      if (error !== null) expect(error).toMatchObject({ code: 'BAD_DATA' });
    }
    await expect(
      loadDataset(files.write('short.parquet', bytes.subarray(0, 3000)), { tokenizer: null }),
    ).rejects.toMatchObject({ code: 'BAD_DATA', where: `${files.folder}/short.parquet` });
  });
});

describe('a Parquet file whose columns lie', () => {
  const bytes = readFileSync(
    files.write(
      'two.parquet',
      new Uint8Array(
        parquetWriteBuffer({
          columnData: ['question', 'answer'].map((name) => ({
            name,
            data: Array.from({ length: 50 }, (_, i) => `${name} ${i}`),
            type: 'STRING' as const,
          })),
        }),
      ),
    ),
  );
  const text = bytes.toString('latin1');
  const refused = async (broken: Buffer, message: RegExp): Promise<void> => {
    // the first column cannot be read: what the reader begins before it meets the other fault must not end
    // the process
    broken.fill(0xff, text.indexOf('question 0'), text.indexOf('question 0') + 40);
    await expect(
      loadDataset(files.write('lying.parquet', broken), { tokenizer: null }),
    ).rejects.toMatchObject({ code: 'BAD_DATA', message: expect.stringMatching(message) as string });
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
  };

  it('is refused before any is read: a chunk or a column too many, one name twice', async () => {
    const name = '\x06answer';
    const path = text.lastIndexOf(name);
    const inSchema = text.lastIndexOf(name, path - 1);
    const written = (at: number, replacement: string): Buffer => {
      const broken = Buffer.from(bytes);
      broken.write(replacement, at, 'latin1');
      return broken;
    };
    expect([text.indexOf('question 0') + 40 < inSchema, inSchema < path]).toEqual([true, true]);
    await refused(
      written(path, '\x06answeR'),
      /A Parquet file must have one chunk for every column of the schema in each row group \(got others/,
    );
    await refused(written(inSchema, '\x06answeR'), /must have one chunk for every column of the schema/);
    const twice = parquetWriteBuffer({
      columnData: ['a', 'a'].map((column) => ({ name: column, data: ['x'], type: 'STRING' as const })),
    });
    await expect(
      loadDataset(files.write('twice.parquet', new Uint8Array(twice)), { tokenizer: null }),
    ).rejects.toMatchObject({
      code: 'BAD_DATA',
      message: expect.stringMatching(/a different name for each column/) as string,
    });
  });
});

/** A file of one row group with one constant column: a few kilobytes for millions of rows. */
const constantColumn = (rows: number): Uint8Array =>
  new Uint8Array(
    parquetWriteBuffer({
      columnData: [{ name: 'text', data: Array<string>(rows).fill('x'), type: 'STRING' }],
      rowGroupSize: rows,
    }),
  );

describe('a row group of more values than bytes', () => {
  it('is refused over 2^24 values', async () => {
    const bytes = constantColumn(2 ** 24 + 1);
    expect(bytes.length).toBeLessThan(4000);
    await expect(
      loadDataset(files.write('constant.parquet', bytes), { tokenizer: null }),
    ).rejects.toMatchObject({
      code: 'BAD_DATA',
      message: expect.stringMatching(
        /A row group has 16777217 values, more than the limit of 16777216\. Write the file with smaller/,
      ) as string,
    });
  });

  it('is read in parts: all rows, in their order', async () => {
    const rows = 2 ** 18 + 3;
    const data = Array.from({ length: rows }, (_, i) => (i < rows - 4 ? 0 : i));
    const written = parquetWriteBuffer({
      columnData: [{ name: 'n', data, type: 'INT32' }],
      rowGroupSize: rows,
    });
    const descriptor = openSync(files.write('parts.parquet', new Uint8Array(written)), 'r');
    const spool = await spoolParquet(descriptor, 'parts.parquet');
    const lines = Buffer.alloc(fstatSync(spool).size);
    readSync(spool, lines, 0, lines.length, 0);
    closeSync(spool);
    closeSync(descriptor);
    expect(lines.toString()).toBe(data.map((n) => `{"n":${n}}\n`).join(''));
  });
});
