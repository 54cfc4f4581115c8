import { execFileSync } from 'node:child_process';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { loadDataset, readJsonl, readPlainText } from '../src/index.ts';
import { MAX_LINE_BYTES, readLines } from '../src/rows/read-lines.ts';
import { jsonl, temporaryFiles } from './temporary-files.ts';

const files = temporaryFiles();
const rowsOf = (content: string | Uint8Array): Record<string, unknown>[] =>
  Array.from(readJsonl(files.write('rows.jsonl', content)), ({ value }) => ({ ...value }));

describe('readJsonl', () => {
  it(
    'gives back the rows that were written, whatever their line ends, byte order mark, blank lines or ' +
      'last newline',
    () => {
      const text = fc.string({ unit: 'binary' }).filter((it) => !/__proto__/.test(it));
      fc.assert(
        fc.property(
          fc.array(fc.record({ text }), { minLength: 1, maxLength: 6 }),
          fc.constantFrom('\n', '\r\n', '\n\n', ' \n'),
          fc.boolean(),
          fc.boolean(),
          (rows, end, hasMark, hasLastEnd) => {
            const body = rows.map((row) => JSON.stringify(row)).join(end) + (hasLastEnd ? end : '');
            expect(rowsOf((hasMark ? '\ufeff' : '') + body)).toEqual(rows);
          },
        ),
        { numRuns: 60 },
      );
    },
  );

  it('counts lines from one, blank ones too', () => {
    expect(
      Array.from(
        readJsonl(files.write('lines.jsonl', '\n{"text":"a"}\n\n\n{"text":"b"}')),
        ({ line }) => line,
      ),
    ).toEqual([2, 5]);
  });

  it('reads rows that are longer than a chunk of the file', () => {
    const rows = [{ text: 'a'.repeat(3_000_000) }, { text: 'é'.repeat(1_000_000) }, { text: 'end' }];
    expect(rowsOf(jsonl(...rows))).toEqual(rows);
  });

  it('keeps NUL, lone surrogates and characters beyond the first plane as they are', () => {
    const rows = [{ text: 'a\u0000b' }, { text: '\ud800 alone' }, { text: '\u{1f600}' }];
    expect(rowsOf(jsonl(...rows))).toEqual(rows);
  });

  it.each<[string, string | Uint8Array, RegExp]>([
    [
      'malformed JSON',
      '{"text":"a"}\n{"text": "b",}\n',
      /bad\.jsonl:2\] A row must be a JSON object \(got malformed JSON: .*Correct or delete this line/,
    ],
    ['a row that is a list', '{"text":"a"}\n[1]\n', /:2\] A row must be a JSON object \(got a list/],
    ['a row that is null', 'null\n', /:1\] A row must be a JSON object \(got null/],
    ['a JSON list instead of lines', '[\n {"text":"a"}\n]\n', /:1\] .*begins a JSON list.* jq -c/],
    ['an empty file', '', /bad\.jsonl\] The dataset has no rows: it is an empty file/],
    ['nothing but blank lines', '\n \r\n\n', /it is an empty file/],
    [
      'bytes that are not UTF-8',
      Buffer.from('{"text":"caf\xe9"}\n', 'latin1'),
      /:1\] The file must be UTF-8 text \(got bytes of another encoding.* iconv/,
    ],
    [
      'UTF-16',
      Buffer.from('\ufeff{"text":"a"}\n', 'utf16le'),
      /:1\] The file must be UTF-8 text \(got text that looks like UTF-16/,
    ],
    ['a gzip file', gzipSync('{"text":"a"}\n'), /got a gzip file\)\. Unpack it first: gunzip/],
    [
      '__proto__ at the top',
      '{"text":"a","__proto__":{"isAdmin":true}}\n',
      /:1\] The row has the key __proto__/,
    ],
    [
      '__proto__ deep inside, escaped',
      '{"messages":[{"role":"user","\\u005f_proto__":1}]}\n',
      /has the key __proto__/,
    ],
    [
      'nesting a million deep',
      `{"text":${'['.repeat(1e6)}${']'.repeat(1e6)}}\n`,
      /more than 64 levels of nesting/,
    ],
  ])('refuses %s, naming the file and what to do', (_, content, message) => {
    const file = files.write('bad.jsonl', content);
    expect(() => [...readJsonl(file)]).toThrow(
      expect.objectContaining({ code: 'BAD_DATA', message: expect.stringMatching(message) as string }),
    );
    expect(({} as { isAdmin?: boolean }).isAdmin).toBeUndefined();
  });

  it('refuses a line of one byte over 16 MiB, and no line of 16 MiB', () => {
    const lengths = (size: number): number[] => {
      const file = files.write('long.jsonl', `{"text":"a"}\n${'x'.repeat(size)}`);
      return Array.from(readLines(file), ({ bytes }) => bytes.length);
    };
    expect(lengths(MAX_LINE_BYTES)).toEqual([12, 16 * 1024 * 1024]);
    expect(() => lengths(MAX_LINE_BYTES + 1)).toThrow(
      /long\.jsonl:2\] The line has more than 16777216 bytes/,
    );
  });

  it('refuses a missing file, a folder and a pipe', () => {
    expect(() => [...readJsonl(`${files.folder}/none.jsonl`)]).toThrow(
      expect.objectContaining({ code: 'MISSING_FILE' }),
    );
    expect(() => [...readJsonl(files.folder)]).toThrow(/The dataset must be a regular file \(got a folder/);
    execFileSync('mkfifo', [`${files.folder}/pipe`]);
    expect(() => [...readJsonl(`${files.folder}/pipe`)]).toThrow(/got something else/);
  });
});

describe('readPlainText', () => {
  it('gives the text as it is, without a byte order mark', () => {
    expect(readPlainText(files.write('a.txt', '\ufeffline\r\nline\n'))).toBe('line\r\nline\n');
  });

  it('says of a table how to convert it', () => {
    const says = (file: string, rows: string): (() => unknown) => {
      const path = files.write(file, rows);
      return () => [...readJsonl(path)];
    };
    expect(says('rows.csv', 'prompt,completion\nhi,there\n')).toThrow(
      /rows\.csv:1\] A row must be a JSON object \(got a line of a table\)\. Convert it: .*'in.csv'\)/,
    );
    expect(says('quoted.csv', '"text"\n"hi"\n')).toThrow(/got a line of a table\)\. Convert it/);
    expect(says('rows.tsv', 'prompt\tcompletion\nhi\tthere\n')).toThrow(/'in\.tsv', sep='\\t'\)/);
  });

  it('refuses an empty file and other encodings', () => {
    expect(() => readPlainText(files.write('empty.txt', ''))).toThrow(/The file is empty/);
    expect(() => readPlainText(files.write('latin.txt', Buffer.from('caf\xe9', 'latin1')))).toThrow(
      /latin\.txt\] The file must be UTF-8 text/,
    );
  });

  it.each<[string, Buffer, RegExp]>([
    [
      'UTF-16',
      Buffer.from('\ufeff{"text":"a"}', 'utf16le'),
      /got text that looks like UTF-16\)\. Convert it, for instance: iconv -f UTF-16 -t UTF-8/,
    ],
    [
      'UTF-16 without a mark',
      Buffer.from('{"text":"a"}', 'utf16le'),
      /got text that looks like UTF-16, or no text/,
    ],
    [
      'UTF-16, high bytes first',
      Buffer.from('{"text":"a"}', 'utf16le').swap16(),
      /got text that looks like UTF-16, or no text/,
    ],
    [
      'Latin-1',
      Buffer.from('{"text":"caf\xe9"}', 'latin1'),
      /got bytes of another encoding\)\. Convert it, for instance: iconv -f WINDOWS-1252/,
    ],
    ['gzip', gzipSync('{"text":"a"}'), /got a gzip file\)\. Unpack it first: gunzip\./],
    [
      'Arrow, as datasets stores it',
      Buffer.from('\xff\xff\xff\xffp\0\0\0', 'latin1'),
      /got an Arrow file\)\. Write it as Parquet: .*to_parquet/,
    ],
    ['Arrow', Buffer.from('ARROW1\0\0\xff\xff', 'latin1'), /got an Arrow file\)\. Write it as Parquet/],
    ['zip', Buffer.from('PK\x03\x04\x14\0\xff\xfe', 'latin1'), /got a zip file\)\. Unpack it first: unzip\./],
  ])('says of %s what it is and what to do', async (_, bytes, says) => {
    await expect(loadDataset(files.write('packed.jsonl', bytes), { tokenizer: null })).rejects.toMatchObject({
      code: 'BAD_DATA',
      message: expect.stringMatching(says) as string,
    });
  });
});
