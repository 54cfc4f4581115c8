import { expect, it } from 'vitest';
import { resolveRun } from './resolve-run.ts';
import { parseRunYaml } from './yaml/read-run-yaml.ts';

it.each([
  ['max_rank_by_worker: [8, 65]', /`max_rank_by_worker` has rank 65, which the run does not train/],
  ['max_rank_by_worker: [8, 8]', /No process of `max_rank_by_worker` trains rank 64\. Give one of them/],
  ['max_rank_by_worker: [64]', /`max_rank_by_worker` must be a list of whole numbers ≥ 1, one for each/],
  [
    'max_rank_by_worker: [8, 64]\nupdate_rule: newest_block',
    /`max_rank_by_worker` needs `update_rule`: prefix and `preconditioner`: none/,
  ],
  ['method: none\nmax_rank_by_worker: [8, 64]', /`max_rank_by_worker` needs an adapter/],
  [
    'max_rank_by_worker: [64, 8, 8]\ngradient_accumulation_steps: 2',
    /No process of rank 64 in `max_rank_by_worker` gets a .*`gradient_accumulation_steps` is 2\. Set .* 3 or/,
  ],
  [
    'max_rank_by_worker: [64, 64, 8, 8]\ngradient_accumulation_steps: 1',
    /No process of rank 64 .*`gradient_accumulation_steps` is 1\. Set .* to 4 or more/,
  ],
  [
    'max_rank_by_worker: [64, 8]\ngradient_accumulation_steps: 2\ndistillation_student: drawn',
    /No process of rank 64 .*`gradient_accumulation_steps` is 2\. Set .* to 4 or more/,
  ],
])('%j is refused', async (yaml, message) => {
  const values = await parseRunYaml(yaml, 'run.yaml');
  expect(() => resolveRun(values)).toThrow(message);
});
