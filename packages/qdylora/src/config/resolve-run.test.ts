import { QdyloraError } from '@qdylora/contract';
import { describe, expect, it } from 'vitest';
import { givenByFlags, givenByOptions, mergeGiven } from './given-values.ts';
import { KEY_NAMES } from './keys.ts';
import { snakeCase } from './names.ts';
import { OTHER_NAMES } from './other-names.ts';
import { byteSizeText, readByteSize } from './byte-size.ts';
import { parseRunYaml } from './read-run-yaml.ts';
import { resolveRun } from './resolve-run.ts';

const byYaml = async (text: string) => resolveRun(await parseRunYaml(text, 'run.yaml'));

async function errorOf(run: () => unknown): Promise<QdyloraError> {
  try {
    await run();
  } catch (error) {
    return error as QdyloraError;
  }
  throw new Error('expected an error, got none');
}

describe('a run', () => {
  it('is qdylora with powers of two up to 64, sandwich and alpha/√b where nothing is said', async () => {
    expect(await byYaml('model: m')).toMatchObject({
      method: 'qdylora',
      quantization: 'nf4',
      doubleQuantization: true,
      quantizationBlockSize: 64,
      ranks: [1, 2, 4, 8, 16, 32, 64],
      loraR: 64,
      rankSchedule: 'sandwich',
      loraScaling: 'sqrt',
      loraAlpha: 8,
      updateRule: 'prefix',
      targetModules: 'all-linear',
    });
  });

  it.each([
    ['method: dylora', { method: 'dylora', quantization: 'none', ranks: [1, 2, 4, 8, 16, 32, 64] }],
    ['method: qlora\nlora_r: 16', { method: 'qlora', quantization: 'nf4', ranks: [16] }],
    ['method: lora', { method: 'lora', quantization: 'none', ranks: [64] }],
    ['method: none', { method: 'none', quantization: 'none', ranks: null }],
    ['quantization: none', { method: 'dylora', quantization: 'none' }],
    [
      'method: lora\nquantization: fp4\nranks: [2, 8]',
      { method: 'qdylora', quantization: 'fp4', ranks: [2, 8], loraR: 8 },
    ],
    ['preset: paper', { rankSchedule: 'one', loraScaling: 'paper', loraAlpha: 16 }],
    ['preset: paper\nlora_alpha: 32', { rankSchedule: 'one', loraScaling: 'paper', loraAlpha: 32 }],
    ['lora_r: 48', { ranks: [1, 2, 4, 8, 16, 32, 48] }],
    ['target_modules: q_proj', { targetModules: ['q_proj'] }],
    ['optimizer: paged_adamw_8bit\noptimizer_memory_budget: 64KiB', { optimizerMemoryBudget: 65536 }],
    ['report_to: tensorboard', { reportTo: ['tensorboard'] }],
    ['report_to: [none]', { reportTo: [] }],
    ['report_to: [tensorboard, tensorboard]', { reportTo: ['tensorboard'] }],
    [
      'rank_distribution: tail_heavy\nrank_schedule: each\nrank_segments: 3',
      { rankDistribution: 'tail_heavy', rankSchedule: 'each', rankSegments: 3 },
    ],
    ['ranks: [1, 8]\nrank_loss_weights: [0.5, 1]', { rankLossWeights: [0.5, 1] }],
    ['eval_ranks: [64, 1, 1]', { evalRanks: [1, 64] }],
    [
      'eval_ranks: [3]\nearly_stopping: 3\neval_steps: 1\nval_set_size: 9',
      { earlyStopping: 3, earlyStoppingPatience: 3, earlyStoppingMinDelta: 0 },
    ],
    [
      'early_stopping: aurac\neval_steps: 1\nval_set_size: 9\nearly_stopping_patience: 5',
      { earlyStopping: 'aurac', earlyStoppingPatience: 5 },
    ],
    ['warmup_steps: 0', { warmupSteps: 0, warmupRatio: null }],
    ['warmup_ratio: 0.1\nwarmup_steps: null', { warmupSteps: null, warmupRatio: 0.1 }],
    ['max_steps: 9', { warmupSteps: null, warmupRatio: 0.05 }],
    ['lr_scheduler: constant', { warmupSteps: null, warmupRatio: null }],
    [
      'adam_beta1: 0.8\nadam_beta2: 0.95\nadam_epsilon: 1.0e-6',
      { adamBeta1: 0.8, adamBeta2: 0.95, adamEpsilon: 1e-6 },
    ],
  ])('%j resolves to its values', async (yaml, expected) => {
    expect(await byYaml(yaml)).toMatchObject(expected);
  });

  it.each([
    [
      'seed: 1\nlearning_rat: 1',
      'BAD_CONFIG',
      /^\[run\.yaml:2\] expected a known key, got learning_rat\. Did you mean learning_rate\?$/,
    ],
    ['learningRate: 1', 'BAD_CONFIG', /got learningRate\. Did you mean learning_rate\?/],
    ['__proto__: 1', 'BAD_CONFIG', /expected a known key, got __proto__/],
    [
      'learning_rate: fast',
      'BAD_CONFIG',
      /\[run\.yaml:1\] expected a number > 0 for learning_rate, got "fast"/,
    ],
    ['learning_rate: .nan', 'BAD_CONFIG', /expected a number > 0 for learning_rate, got NaN/],
    ['rank_distribution: [1, .inf]', 'BAD_CONFIG', /for rank_distribution, got \[1,Infinity\]/],
    ['lr: 1e-4', 'BAD_CONFIG', /expected a known key, got lr\. It is called learning_rate here\.$/],
    ['per_device_train_batch_size: 4', 'BAD_CONFIG', /It is called micro_batch_size here\.$/],
    ['seed:3', 'BAD_CONFIG', /with a space behind the colon/],
    [
      'target_modules: "(("',
      'BAD_CONFIG',
      /expected all-linear, a list of names or a regular expression for target_modules, got "\(\("/,
    ],
    ['target_modules: ")("', 'BAD_CONFIG', /for target_modules, got "\)\("/],
    ['model: "a\\0b"', 'BAD_CONFIG', /expected text for model, got "a\\u0000b"/],
    ['dataset: [a, "b\\0"]', 'BAD_CONFIG', /expected a file or a list of files for dataset/],
    [
      'resume_from_checkpoint: true',
      'BAD_CONFIG',
      /expected auto or the folder of a checkpoint for resume_from_checkpoint, got true/,
    ],
    [
      'optimizer: sgd\nadam_beta1: 0.9',
      'BAD_CONFIG',
      /\[run\.yaml:2\] expected no such key for optimizer sgd for adam_beta1, got 0\.9/,
    ],
    [
      'optimizer: lion_8bit\nadam_epsilon: 1.0e-6',
      'BAD_CONFIG',
      /no such key for optimizer lion_8bit for adam_epsilon/,
    ],
    ['lora_r: 0', 'BAD_CONFIG', /expected a whole number within 1 ≤ x ≤ 4096 for lora_r, got 0/],
    ['ranks: [1, 1]', 'BAD_CONFIG', /each once, for ranks, got \[1,1\]/],
    ['ranks: [1, 2]\nlora_r: 4', 'BAD_CONFIG', /expected ranks up to lora_r = 4 for ranks, got \[1,2\]/],
    ['method: none\nranks: [1]', 'BAD_CONFIG', /expected no such key for method none for ranks/],
    ['method: none\nquantization: nf4', 'BAD_CONFIG', /expected none for method none for quantization/],
    ['init: config.json', 'BAD_CONFIG', /method none/],
    [
      'optimizer: paged_adamw_8bit\noptimizer_memory_budget: 3 bananas',
      'BAD_CONFIG',
      /a number of bytes, or one with a unit such as 64KiB or 1GiB, for optimizer_memory_budget, got "3 bananas"/,
    ],
    [
      'optimizer_memory_budget: 1GiB',
      'BAD_CONFIG',
      /no such key for optimizer adamw_32bit for optimizer_memory_budget, got "1GiB"\. Choose paged_adamw_32bit/,
    ],
    [
      'optimizer: lion_8bit\npage_dir: pages',
      'BAD_CONFIG',
      /no such key for optimizer lion_8bit for page_dir/,
    ],
    [
      'warmup_ratio: 0.05\nwarmup_steps: 5',
      'BAD_CONFIG',
      /\[run\.yaml:1\] expected either it or warmup_steps \(5\) for warmup_ratio, got 0\.05\. Leave one of them out\.$/,
    ],
    ['adam_beta2: 1', 'BAD_CONFIG', /adam_beta2, got 1/],
    ['optimizer: adam', 'BAD_CONFIG', /expected one of adamw_32bit, adamw_8bit/],
    ['rank_distribution: [1, 2]', 'BAD_CONFIG', /one weight for each of the ranks/],
    [
      'rank_loss_weights: [1, 2]',
      'BAD_CONFIG',
      /one number > 0 for each of the ranks 1, 2, 4, 8, 16, 32, 64 for rank_loss_weights/,
    ],
    [
      'rank_loss_weights: [0]\nranks: [1]',
      'BAD_CONFIG',
      /one number > 0 for each rank for rank_loss_weights, got \[0\]/,
    ],
    ['eval_ranks: [128]', 'BAD_CONFIG', /expected ranks up to lora_r = 64 for eval_ranks, got \[128\]/],
    [
      'early_stopping: 3\neval_steps: 1\nval_set_size: 9',
      'BAD_CONFIG',
      /aurac or one of the judged ranks 1, 2, 4, 8, 16, 32, 64 for early_stopping, got 3/,
    ],
    ['early_stopping: loss', 'BAD_CONFIG', /expected a rank or aurac for early_stopping, got "loss"/],
    ['early_stopping: 64\nval_set_size: 9', 'BAD_CONFIG', /expected eval_steps > 0 for early_stopping/],
    [
      'early_stopping: 64\neval_steps: 1',
      'BAD_CONFIG',
      /expected held-out rows for early_stopping.*val_set_size/,
    ],
    ['method: none\nearly_stopping: aurac', 'BAD_CONFIG', /no such key for method none for early_stopping/],
    ['report_to: csv', 'BAD_CONFIG', /none, or a list of tensorboard, wandb, for report_to, got "csv"/],
    [
      'report_to: [tensorboard, wandb]',
      'UNSUPPORTED',
      /expected one of what is implemented \(none, tensorboard\) for report_to, got wandb/,
    ],
    ['a: [', 'BAD_CONFIG', /\[run\.yaml:\d\] expected YAML/],
    ['- a', 'BAD_CONFIG', /expected keys with values/],
    ['seed: 1\nseed: 2', 'BAD_CONFIG', /\[run\.yaml:2\].*unique/],
    [
      'seed: 1\nranks: *some',
      'BAD_CONFIG',
      /\[run\.yaml:2\] expected a value, got one that YAML cannot read: Unresolved alias.*some\. Write the value out\.$/,
    ],
    [
      `a: &a [${'x,'.repeat(99)}]\nb: &b [${'*a,'.repeat(99)}]\nc: [${'*b,'.repeat(99)}]`,
      'BAD_CONFIG',
      /\[run\.yaml:3\] expected a value, got one that YAML cannot read: Excessive alias count/,
    ],
    [
      Buffer.from('seed: 1', 'utf16le').toString('utf8'),
      'BAD_CONFIG',
      /\[run\.yaml\] expected text in UTF-8 for a run file, got zero bytes among it/,
    ],
  ])('%j is refused', async (yaml, code, message) => {
    const error = await errorOf(() => byYaml(yaml));
    expect(QdyloraError.isInstance(error)).toBe(true);
    expect([error.code, error.message]).toEqual([code, expect.stringMatching(message)]);
  });

  it.each([
    ['warmup_steps: 5', { warmupRatio: 0.1 }, { warmupRatio: 0.1, warmupSteps: null }],
    ['warmup_ratio: 0.1', { warmupSteps: 5 }, { warmupRatio: null, warmupSteps: 5 }],
    ['max_steps: 100\nnum_epochs: 1', { numEpochs: 3 }, { numEpochs: 3, maxSteps: null }],
    ['max_steps: 100\nnum_epochs: 2', { seed: 1 }, { numEpochs: 2, maxSteps: 100 }],
  ])(
    'of %j and the flags %j takes what the flags say, also where the file says it by another key',
    async (yaml, flags, expected) => {
      expect(resolveRun(mergeGiven(await parseRunYaml(yaml, 'run.yaml'), givenByFlags(flags)))).toMatchObject(
        expected,
      );
    },
  );

  it('takes the ranks and the scale of an adapter that it starts from, and none that the adapter lacks', async () => {
    const inherited = { ranks: [1, 4], loraAlpha: 3, loraScaling: 'paper' };
    expect(resolveRun(givenByOptions({ adapter: 'a' }), inherited)).toMatchObject({
      ranks: [1, 4],
      loraR: 4,
      loraAlpha: 3,
      loraScaling: 'paper',
    });
    expect(
      (await errorOf(() => resolveRun(givenByOptions({ adapter: 'a', loraR: 8 }), inherited))).message,
    ).toMatch(
      /^\[options\] expected the adapter's own largest rank, 4 for loraR, got 8\. An adapter cannot grow/,
    );
  });
});

describe('a name of another trainer', () => {
  it('is never one of ours, and stands for one of ours', () => {
    const own = new Set<string>(KEY_NAMES.map(snakeCase));
    for (const [other, name] of OTHER_NAMES)
      expect([other, own.has(other), own.has(name)]).toEqual([other, false, true]);
  });
});

describe('a size', () => {
  it.each([
    ['64KiB', 65536],
    ['1.5 GB', 1.5e9],
    ['4096', 4096],
    ['3B', 3],
    ['3XB', null],
    ['-1', null],
    ['', null],
  ])('%j is %s bytes', (text, bytes) => {
    expect(readByteSize(text)).toBe(bytes);
  });

  it.each([
    [12, '12 B'],
    [4896, '4.9 kB'],
    [19584, '20 kB'],
    [312e3, '0.3 MB'],
    [112e6, '112 MB'],
    [25.28e9, '25.28 GB'],
  ])('%s reads %s', (bytes, text) => {
    expect(byteSizeText(bytes)).toBe(text);
  });
});
