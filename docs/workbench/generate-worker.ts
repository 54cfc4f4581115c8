import './page-globals.ts';
import { questionPrompt } from '@qdylora/data';
import { generate } from '@qdylora/models';
import { openEmbeddedBase, type EmbeddedBase } from './open-embedded-base.ts';
import { answerRequests } from './worker-requests.ts';

interface GenerateRequest {
  /** Address of the folder with model/ and demo/. */
  readonly root: string;
  readonly prompt: string;
  /** 0: the base without the adapter. */
  readonly rank: number;
  readonly maxNewTokens: number;
}

let opened: Promise<EmbeddedBase> | null = null;

answerRequests(async ({ root, prompt, rank, maxNewTokens }: GenerateRequest, tell) => {
  opened ??= openEmbeddedBase(async (path) => {
    const response = await fetch(root + path);
    if (!response.ok) throw new Error(`${path} could not be loaded (${response.status}).`);
    return response.arrayBuffer();
  });
  const { adapted, tokenizer } = await opened.catch((error: unknown) => {
    opened = null; // the next request tries again
    throw error;
  });
  tell({ opened: true });
  const view = rank === 0 ? adapted.base() : adapted.atRank(rank);
  const ids = tokenizer.encode(questionPrompt(prompt));
  const written: number[] = [];
  const start = performance.now();
  for await (const id of generate(view, ids, { maxNewTokens, stopIds: [0] })) {
    written.push(id);
    tell({ text: tokenizer.decode(written) });
  }
  return {
    text: tokenizer.decode(written),
    tokens: written.length,
    seconds: (performance.now() - start) / 1000,
  };
});
