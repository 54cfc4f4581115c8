import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { finetune } from 'qdylora';
import { expect, test } from 'vitest';
import { askEveryRank } from './openai-client.ts';
import { tinyRun } from './test-support/tiny-run.ts';

const root = fileURLToPath(new URL('../', import.meta.url));

test('the client of OpenAI streams the answer of each rank and of the base', async () => {
  using tiny = tinyRun();
  const dataset = join(tiny.folder, 'chats.jsonl');
  const chat = (i: number): string =>
    JSON.stringify({
      messages: [
        { role: 'user', content: `say ${i}` },
        { role: 'assistant', content: `${i}` },
      ],
    });
  writeFileSync(dataset, Array.from({ length: 12 }, (_, i) => `${chat(i)}\n`).join(''));
  const outputDir = join(tiny.folder, 'smol');
  await finetune({
    model: join(root, 'packages/embedded-base/model'),
    dataset,
    outputDir,
    ranks: [1, 2],
    chatTemplate: 'chatml',
    valSetSize: 4,
    maxSteps: 2,
    numThreads: 1,
  }).result;
  const command = ['--conditions=source', '--import', 'tsx', join(root, 'packages/qdylora/src/main.ts')];
  const server = spawn(process.execPath, [...command, 'serve', outputDir, '--port', '0'], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    const [line] = (await once(server.stdout, 'data')) as [Buffer];
    const baseURL = line.toString().trim();
    const pieces: string[] = [];
    const answers = await askEveryRank({ baseURL, question: 'say 3', maxTokens: 6 }, (text) => {
      pieces.push(text);
    });
    expect([...answers.keys()]).toEqual(['smol:base', 'smol:r1', 'smol:r2']);
    for (const [model, answer] of answers) expect(answer, model).not.toBe('');
    expect(pieces.join('')).toBe([...answers].map(([model, answer]) => `\n${model}: ${answer}`).join(''));
  } finally {
    server.kill('SIGTERM');
    await once(server, 'exit');
  }
});
