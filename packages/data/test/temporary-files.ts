import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryFolder } from '@qdylora/testing/node';

/** A folder that lives as long as the test file; `write` returns the path of a new file in it. */
export function temporaryFiles(): {
  readonly folder: string;
  write(name: string, content: string | Uint8Array): string;
} {
  const folder = temporaryFolder();
  return {
    folder,
    write(name, content) {
      writeFileSync(join(folder, name), content);
      return join(folder, name);
    },
  };
}

/** Rows as the content of a JSON Lines file. */
export const jsonl = (...rows: unknown[]): string => rows.map((row) => `${JSON.stringify(row)}\n`).join('');
