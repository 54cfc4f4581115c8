import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findTasks, scoreTask } from '@qdylora/eval';
import { temporaryFolder } from '@qdylora/testing/node';
import { expect, it } from 'vitest';
import { requestsOfTasks } from '../judge-tasks.ts';
import { judgePrograms } from './judge-programs.ts';
import { openSandbox } from './open-sandbox.ts';

const hasPython = spawnSync('python3', ['--version']).status === 0;

const PROBLEM = {
  task_id: 'made/0',
  prompt: 'def double(x):\n    """ Twice x. """\n',
  test: '\ndef check(candidate):\n    assert candidate(2) == 4\n',
  entry_point: 'double',
  canonical_solution: '    return 2 * x\n',
};

it.runIf(hasPython)('pass@1 is the share of problems whose program passes its tests', async () => {
  const folder = temporaryFolder();
  const line = `${JSON.stringify(PROBLEM)}\n`;
  writeFileSync(join(folder, 'test.jsonl'), line.repeat(4));
  const options = { taskData: folder, numFewshot: null, limit: null, chatTemplate: null, isMultiturn: false };
  const [requests] = await requestsOfTasks(findTasks(['humaneval']), options);
  const answers = ['    return 2 * x\n', '    return x\n', '    return x + x', '    retrun x'];
  const scores = scoreTask(
    requests!,
    answers.map((answer) => [[answer]]),
  );
  expect(scores.metrics).toEqual([]);
  const [judged] = await judgePrograms([scores], openSandbox());
  expect(judged!.metrics).toMatchObject([{ metric: 'pass@1', filter: 'create_test', value: 0.5 }]);
  expect(judged!.samples.map(({ metrics }) => String(metrics.get('pass@1')))).toHaveLength(4);
});

it.runIf(hasPython)('an abort ends the work', async () => {
  const folder = temporaryFolder();
  writeFileSync(join(folder, 'test.jsonl'), `${JSON.stringify(PROBLEM)}\n`);
  const options = { taskData: folder, numFewshot: null, limit: null, chatTemplate: null, isMultiturn: false };
  const [requests] = await requestsOfTasks(findTasks(['humaneval']), options);
  const scores = scoreTask(requests!, [[['    while True: pass']]]);
  const signal = AbortSignal.timeout(200);
  await expect(judgePrograms([scores], openSandbox(), signal)).rejects.toMatchObject({ code: 'ABORTED' });
});
