import { QdyloraError } from '@qdylora/contract';
import { expect, it } from 'vitest';
import { continueCommand, withContinueCommand } from './continue-command.ts';

it.each([
  [['train', 'run.yaml'], 'npx qdylora train run.yaml --resume-from-checkpoint auto'],
  [
    ['train', 'run.yaml', '--resume-from-checkpoint', 'auto', '--seed', '3'],
    'npx qdylora train run.yaml --seed 3 --resume-from-checkpoint auto',
  ],
  [
    ['train', '--dataset', "my rows/it's *.jsonl", '--resume-from-checkpoint=auto'],
    String.raw`npx qdylora train --dataset 'my rows/it'\''s *.jsonl' --resume-from-checkpoint auto`,
  ],
  [
    ['train', '--output-dir', 'launch'],
    'npx qdylora train --output-dir launch --resume-from-checkpoint auto',
  ],
  [['launch', 'run.yaml', '-n', '2'], 'npx qdylora launch run.yaml -n 2 -- --resume-from-checkpoint auto'],
  [
    ['launch', 'run.yaml', '--', '--resume-from-checkpoint', 'auto', '--seed', '3'],
    'npx qdylora launch run.yaml -- --seed 3 --resume-from-checkpoint auto',
  ],
])('%j is continued by a command that a shell takes', (argv, expected) => {
  expect(continueCommand(argv)).toBe(expected);
});

it('an abort names the checkpoint and the command', () => {
  const abort = new QdyloraError('ABORTED', {
    where: 'train',
    problem: 'the run was aborted after step 4',
    nextStep: 'Resume from c with resume_from_checkpoint.',
    details: { checkpoint: 'c' },
  });
  expect(withContinueCommand(abort, ['train', 'run.yaml'])).toMatchObject({
    code: 'ABORTED',
    message:
      '[train] the run was aborted after step 4. The last whole step is saved in c.\nTo continue:\n' +
      'npx qdylora train run.yaml --resume-from-checkpoint auto',
  });
});

it.each([
  [
    { count: 2, words: ['launch', 'run.yaml', '-n', '2'] },
    'To continue:\nnpx qdylora launch run.yaml -n 2 -- --resume-from-checkpoint auto',
  ],
  [
    { count: 3, words: null },
    'To continue, start all 3 workers again, each with:\n' +
      'npx qdylora train run.yaml --resume-from-checkpoint auto',
  ],
])('an abort of one of several workers continues them all: %j', (workers, expected) => {
  const abort = new QdyloraError('ABORTED', {
    where: 'train',
    problem: 'the run was aborted after step 4',
    nextStep: 'Resume from c with resume_from_checkpoint.',
  });
  const { nextStep } = withContinueCommand(abort, ['train', 'run.yaml'], workers) as QdyloraError;
  expect(nextStep).toBe(`Resume from c with resume_from_checkpoint.\n${expected}`);
});

it('an error that cannot be continued from stays as it is', () => {
  const error = new QdyloraError('BAD_CONFIG', { where: 'a', problem: 'b' });
  expect(withContinueCommand(error, [])).toBe(error);
});
