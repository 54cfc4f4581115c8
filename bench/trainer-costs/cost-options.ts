import { tmpdir } from 'node:os';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: {
    model: { type: 'string' },
    only: { type: 'string' },
    steps: { type: 'string', default: '7' },
    'micro-batch': { type: 'string', default: '4' },
    seq: { type: 'string', default: '256' },
    threads: { type: 'string', default: '2' },
    all: { type: 'boolean', default: false },
    'each-rank': { type: 'boolean', default: false },
    modes: { type: 'string', default: '' },
    'compute-dtype': { type: 'string', default: 'bf16' },
    scratch: { type: 'string', default: tmpdir() },
  },
});
if (!values.model) throw new TypeError('Name a model: --model ../smollm2.');

/** The command line of trainer-costs.bench.ts. */
export const COST_OPTIONS = {
  model: values.model,
  only: values.only,
  steps: Number(values.steps),
  rows: Number(values['micro-batch']),
  length: Number(values.seq),
  threads: Number(values.threads),
  all: values.all,
  eachRank: values['each-rank'],
  modes: new RegExp(values.modes),
  computeDtype: values['compute-dtype'] as 'f32' | 'bf16',
  scratch: values.scratch,
} as const;
