import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { valuesOfFlags } from '../src/config/explicit-values.ts';
import { finetune } from '../src/index.ts';
import { adapterSource } from '../src/serve/adapter-source.ts';
import { openServedModels } from '../src/serve/open-served-models.ts';
import { startServer, type RunningServer } from '../src/serve/start-server.ts';
import { PAGE } from './run-command.ts';
import { temporaryPlace, writeTinyModel } from './tiny-model.ts';

export const EMBEDDED_BASE = fileURLToPath(new URL('../../embedded-base/model/', import.meta.url));

/** A server, and what its tests look at. */
export interface ServedRun extends AsyncDisposable {
  readonly server: RunningServer;
  readonly url: string;
  readonly opened: Awaited<ReturnType<typeof openServedModels>>;
  /** Errors that clients were not told. */
  readonly errors: unknown[];
  /** Bytes of live arrays: those of the model alone once the server has closed. */
  liveBytes(): number;
}

/** Trains nested adapters on a few conversations: `smol`, and `other` with another seed. */
export async function trainRuns(model: string, names: readonly string[], steps = 3): Promise<string[]> {
  const folder = temporaryPlace();
  const rows = Array.from({ length: 12 }, (_, i) => ({
    messages: [
      { role: 'user', content: `say ${i}` },
      { role: 'assistant', content: `${'la '.repeat(1 + (i % 3))}${i}` },
    ],
  }));
  writeFileSync(folder.in('chats.jsonl'), rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
  const runs: string[] = [];
  for (const [seed, name] of names.entries()) {
    await finetune({
      model,
      dataset: folder.in('chats.jsonl'),
      valSetSize: 4,
      ranks: [1, 2, 4],
      chatTemplate: 'chatml',
      maxSteps: steps,
      microBatchSize: 2,
      numThreads: 1,
      learningRate: 2e-2,
      quantization: 'none',
      outputDir: folder.in(name),
      seed,
    }).result;
    runs.push(folder.in(name));
  }
  return runs;
}

export const tinyModel = (): string => writeTinyModel(temporaryPlace().in('model'), { tokenizer: true });

/** Serves runs at a free port. */
export async function serveRuns(
  adapters: readonly string[],
  flags: object = {},
  graceMs = 200,
): Promise<ServedRun> {
  const sources = await Promise.all(adapters.map(adapterSource));
  const opened = await openServedModels(
    sources,
    valuesOfFlags({ port: 0, numThreads: 1, ...flags }),
    () => {},
  );
  const errors: unknown[] = [];
  const server = await startServer(opened, {
    page: PAGE,
    onError: (error) => errors.push(error),
    graceMs,
  });
  return {
    server,
    url: server.url,
    opened,
    errors,
    liveBytes: () => opened.opened.model.backend.memory.usage().liveBytes,
    async [Symbol.asyncDispose]() {
      await server.close();
      opened[Symbol.dispose]();
    },
  };
}

/** A JSON answer of the server. */
export async function post(
  url: string,
  path: string,
  body: unknown,
  init: RequestInit = {},
): Promise<{ status: number; json: Record<string, any> }> {
  const response = await fetch(`${url}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
    ...init,
  });
  return { status: response.status, json: (await response.json()) as Record<string, any> };
}
