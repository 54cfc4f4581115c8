import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { readRowValues, type ChatMessage, type RowValues } from '@qdylora/data';
import { temporaryFolder } from '@qdylora/testing/node';

export const HARNESS_FIXTURES = fileURLToPath(new URL('../fixtures/harness', import.meta.url));

/** One run of the harness, and the files that it wrote. */
export interface HarnessCase {
  readonly name: string;
  readonly tasks: readonly string[];
  readonly num_fewshot: number | null;
  readonly limit: number | null;
  readonly apply_chat_template?: boolean;
  readonly fewshot_as_multiturn?: boolean;
  readonly system_instruction?: string;
  readonly expected: Readonly<Record<string, Readonly<Record<string, never>>>> & {
    readonly results: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
    readonly task_hashes: Readonly<Record<string, string>>;
    readonly 'n-samples': Readonly<Record<string, { readonly original: number; readonly effective: number }>>;
  };
  /** `samples_<task>.jsonl` by task. */
  readonly samples: Readonly<Record<string, string>>;
}

interface HarnessFile {
  readonly documents: readonly {
    readonly path: string;
    readonly name: string | null;
    readonly splits: Readonly<Record<string, string>>;
  }[];
  readonly own_tasks: Readonly<Record<string, string>>;
  readonly cases: readonly HarnessCase[];
}

export const harnessFile = JSON.parse(
  gunzipSync(readFileSync(join(HARNESS_FIXTURES, 'tasks.expected.json.gz'))).toString('utf8'),
) as HarnessFile;

/** The made rows of a split. */
export async function harnessRows(
  path: string | null,
  name: string | null,
  split: string,
): Promise<readonly RowValues[]> {
  const found = harnessFile.documents.find((entry) => entry.path === path && entry.name === name);
  const file = join(temporaryFolder(), `${split}.jsonl`);
  writeFileSync(file, found!.splits[split]!);
  return readRowValues(file);
}

/** The chat template of the golden runs. */
export const harnessTemplate = (messages: readonly ChatMessage[], addGenerationPrompt: boolean): string =>
  messages.map(({ role, content }) => `<${role}>${content}</>`).join('') +
  (addGenerationPrompt ? '<assistant>' : '');
