import { join } from 'node:path';
import { readRowValues } from '@qdylora/data';
import { sharedPath } from '@qdylora/testing/node';
import { describe, expect, it } from 'vitest';
import { findTasks } from './built-in/find-tasks.ts';
import { readDocuments } from './documents/task-documents.ts';
import { buildRequests, fewshotCount } from './requests/build-requests.ts';
import { taskHash } from './results/sample-lines.ts';
import { scoreTask } from './scoring/score-task.ts';

const GSM8K = sharedPath('data/gsm8k');

/** Hashes of lm-evaluation-harness 0.4.13 over all documents, prompts and targets of the real test set. */
const TASK_HASHES = {
  gsm8k: '2330f4ebfcccaf66a892922df2819cdb1f118e448d076d3f42bdde4177678ac7',
  gsm8k_cot: 'fc360963b39ee52c26a82795124f9ad7da4d6a8fecf1b77e2502823b1669b3d0',
};

describe('the 1319 questions of GSM8K', () => {
  it.for(Object.entries(TASK_HASHES))(
    'all prompts of %s are those of the harness',
    async ([name, hash], { skip }) => {
      skip(GSM8K === null, 'shared/data/gsm8k is missing');
      const [task] = findTasks([name]).tasks;
      const documents = await readDocuments(
        task!,
        (split) => readRowValues(join(GSM8K!, `${split}.jsonl`)),
        true,
      );
      const requests = buildRequests(task!, documents, {
        numFewshot: fewshotCount(task!, null),
        limit: null,
      });
      expect(requests.documents).toHaveLength(1319);
      const responses = requests.documents.map(({ requests: asked }) => asked.map(() => ['']));
      // the hash is over the samples of both filters, as in the harness
      expect(taskHash(scoreTask(requests, responses, 0))).toBe(hash);
    },
  );
});
