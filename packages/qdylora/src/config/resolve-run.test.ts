import { QdyloraError } from '@qdylora/contract';
import { OPTIMIZER_NAMES } from '@qdylora/trainer';
import { describe, expect, it } from 'vitest';
import { valuesOfFlags, valuesOfOptions, mergeExplicit } from './explicit-values.ts';
import { OPTIMIZERS } from './keys/training-keys.ts';
import { parseRunYaml } from './yaml/read-run-yaml.ts';
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
  it('is qdylora at powers of two up to 64 in a sandwich, at nearly one scale, by default', async () => {
    expect(await byYaml('model: m')).toMatchObject({
      method: 'qdylora',
      quantization: 'nf4',
      doubleQuantization: true,
      quantizationBlockSize: 64,
      ranks: [1, 2, 4, 8, 16, 32, 64],
      loraR: 64,
      rankSchedule: 'sandwich',
      loraScaling: 'tapered',
      rankRates: 'steep',
      wideRatio: 0.3,
      wideRates: 'nested',
      learningRate: null,
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
    ['val_set_size: 9\neval_budgets: ranks', { evalBudgets: 'ranks' }],
    ['val_set_size: 9\neval_budgets: 2MB', { evalBudgets: [2e6] }],
    ['val_set_size: 9\neval_budgets: [2MB, 8KiB, 2 MB]', { evalBudgets: [8192, 2e6] }],
    ['report_to: tensorboard', { reportTo: ['tensorboard'] }],
    ['report_to: [none]', { reportTo: [] }],
    ['report_to: [tensorboard, tensorboard]', { reportTo: ['tensorboard'] }],
    [
      'rank_distribution: tail_heavy\nrank_schedule: each\nrank_segments: 3',
      { rankDistribution: 'tail_heavy', rankSchedule: 'each', rankSegments: 3 },
    ],
    ['ranks: [1, 8]\nrank_loss_weights: [0.5, 1]', { rankLossWeights: [0.5, 1] }],
    ['distillation: 0.5', { distillation: 0.5, distillationStudent: 'both', wideRatio: 0.3 }],
    ['distillation: 0.5\ndistillation_student: drawn', { distillation: 0.5, wideRatio: 0 }],
    ['seed: 1', { distillation: 0.5, distillationStudent: 'both', rankDistribution: 'top_heavy' }],
    ['distillation_student: smallest', { distillation: 0.5, rankDistribution: 'upper', wideRatio: 0.3 }],
    ['ranks: [4, 8]', { distillation: 0, rankDistribution: 'uniform' }],
    ['rank_schedule: each', { distillation: 0, rankDistribution: 'uniform' }],
    ['method: qlora', { distillation: 0 }],
    ['distillation: 0', { distillation: 0, rankDistribution: 'uniform', wideRatio: 0.5 }],
    ['distillation_student: drawn', { distillation: 0.5, rankDistribution: 'uniform', wideRatio: 0 }],
    [
      'ranks: [4, 8]\ndistillation_student: both',
      { distillation: 0.5, rankDistribution: 'top_heavy', wideRatio: 0.3 },
    ],
    ['distillation_top_k: 8', { distillation: 0.5, distillationTopK: 8 }],
    ['rank_rates: inverse_sqrt\nloraplus_lr_ratio: 16', { rankRates: 'inverse_sqrt', loraplusLrRatio: 16 }],
    ['wide_ratio: 0.25\nlora_scaling: constant', { wideRatio: 0.25 }],
    ['wide_rates: dedicated', { wideRatio: 0.3, wideRates: 'dedicated', rankRates: 'steep' }],
    ['method: qlora\nlora_r: 8\nrate_ranks: [1, 8]', { rankRates: 'inverse_sqrt', rateRanks: [1, 8] }],
    ['wide_ratio: 0', { wideRatio: 0, wideRates: 'nested', rankRates: 'steep' }],
    ['lora_scaling: uniform', { wideRatio: 0.3, rankRates: 'steep', loraScaling: 'uniform' }],
    ['method: qlora', { loraScaling: 'uniform', rankRates: 'inverse_sqrt' }],
    ['ranks: [8]\nlora_scaling: tapered', { loraScaling: 'tapered', rankRates: 'inverse_sqrt' }],
    ['lora_scaling: sqrt', { wideRatio: 0 }],
    ['preset: paper', { wideRatio: 0 }],
    ['update_rule: newest_block', { wideRatio: 0 }],
    ['method: lora', { wideRatio: 0 }],
    ['method: none', { wideRatio: null }],
    ['ranks: [1, 8]\nrank_rates: [1, 0.5]', { rankRates: [1, 0.5] }],
    ['preconditioner: prefix', { preconditioner: 'prefix' }],
    ['fast_reduce: true\nmethod: none', { fastReduce: true, gradientCompression: 'none' }],
    ['gradient_compression: int8', { gradientCompression: 'int8' }],
    ['max_rank_by_worker: [8, 64, 8]', { maxRankByWorker: [8, 64, 8] }],
    ['max_rank_by_worker: [64, 8]\ngradient_accumulation_steps: 2', { maxRankByWorker: [64, 8] }],
    [
      'max_rank_by_worker: [64, 8]\ngradient_accumulation_steps: 4\ndistillation_student: drawn',
      { maxRankByWorker: [64, 8] },
    ],
    ['adapter_init: gradient\nadapter_init_norm: 0.3', { adapterInit: 'gradient', adapterInitNorm: 0.3 }],
    ['quantization_levels: [8, 3, 4]', { quantizationLevels: [3, 4, 8], levelSchedule: 'distilled' }],
    ['quantization_levels: [3, 4]\ndistillation: 0', { levelSchedule: 'sampled' }],
    ['quantization_levels: [3, 4]\nmethod: qlora', { levelSchedule: 'sampled' }],
    ['quantization_levels: [4]', { levelSchedule: 'distilled' }],
    ['quantization: none\nquantization_levels: [4]', { quantizationLevels: [4] }],
    ['method: none\nquantization_levels: [4]\nlevel_schedule: sampled', { quantizationLevels: [4] }],
    ['method: none\ndistillation_student: smallest', { method: 'none' }],
    ['eval_ranks: [64, 1, 1]', { evalRanks: [1, 64] }],
    [
      'eval_ranks: [3]\nearly_stopping: 3\neval_steps: 1\nval_set_size: 9',
      { earlyStopping: 3, earlyStoppingPatience: 3, earlyStoppingMinDelta: 0 },
    ],
    [
      'early_stopping: aurac\neval_steps: 1\nval_set_size: 9\nearly_stopping_patience: 5',
      { earlyStopping: 'aurac', earlyStoppingPatience: 5 },
    ],
    ['early_stopping_patience: 3\nearly_stopping_min_delta: 0', { earlyStopping: null }],
    ['warmup_steps: 0', { warmupSteps: 0, warmupRatio: null }],
    ['warmup_ratio: 0.1\nwarmup_steps: null', { warmupSteps: null, warmupRatio: 0.1 }],
    ['max_steps: 9', { warmupSteps: null, warmupRatio: 0.05 }],
    ['lr_scheduler: constant', { warmupSteps: null, warmupRatio: null, minLearningRateRatio: 0 }],
    ['lr_scheduler: polynomial', { minLearningRateRatio: null }],
    ['lr_scheduler: polynomial\nmin_learning_rate_ratio: 0', { minLearningRateRatio: 0 }],
    [
      'adam_beta1: 0.8\nadam_beta2: 0.95\nadam_epsilon: 1.0e-6',
      { adamBeta1: 0.8, adamBeta2: 0.95, adamEpsilon: 1e-6 },
    ],
  ])('%j resolves to its values', async (yaml, expected) => {
    expect(await byYaml(yaml)).toMatchObject(expected);
  });

  it('names all keys that do not exist, each with its line', async () => {
    const yaml = 'base_model: a\nseed: 1\nstrict: false\nsequence_len: 9';
    await expect(byYaml(yaml)).rejects.toMatchObject({
      message: expect.stringMatching(/^\[run\.yaml:1\] 3 keys do not exist here\. /) as string,
      nextStep: [
        'run.yaml:1 `base_model`: It is called `model` here.',
        'run.yaml:3 `strict`: No key has a similar name.',
        'run.yaml:4 `sequence_len`: It is called `max_seq_length` here.',
        'The `--help` of the command lists all keys.',
      ].join('\n'),
      details: { keys: ['base_model', 'strict', 'sequence_len'] },
    });
  });

  it.each([
    [
      'seed: 1\nlearning_rat: 1',
      /^\[run\.yaml:2\] There is no key `learning_rat`\. Did you mean `learning_rate`\?$/,
    ],
    ['learningRate: 1', /no key `learningRate`\. Did you mean `learning_rate`\?/],
    [
      '__proto__: 1',
      /There is no key `__proto__`\. No key has a similar name\. The `--help` .* lists all keys\.$/,
    ],
    ['learning_rate: fast', /\[run\.yaml:1\] `learning_rate` must be a number > 0 \(got "fast"\)\./],
    ['learning_rate: .nan', /`learning_rate` must be a number > 0 \(got NaN\)/],
    ['rank_distribution: [1, .inf]', /`rank_distribution` must be .* \(got \[1,Infinity\]\)/],
    ['lr: 1e-4', /There is no key `lr`\. It is called `learning_rate` here\.$/],
    ['per_device_train_batch_size: 4', /It is called `micro_batch_size` here\.$/],
    [
      'train_on_inputs: false',
      /Here it is `completion_only_loss`, which means the opposite: true instead of false\.$/,
    ],
    [
      'adapter_path: adapters',
      /The folder to write to is `output_dir` here, an adapter to read is `adapter`\.$/,
    ],
    ['resume_adapter_file: a', /It is called `adapter` here\.$/],
    ['scale: 20', /It is called `lora_alpha` here\.$/],
    ['use_rslora: true', /It is called `lora_scaling` here\. `true` is `sqrt` here\.$/],
    ['lora_parameters: { rank: 8 }', /Keys are not nested here: move those below it one level up\.$/],
    [
      'datasets:\n  - path: a.jsonl\n    type: alpaca',
      /It is called `dataset` here\. Name the files alone, .* their `type` is `dataset_format`\.$/,
    ],
    ['dataset:\n  - path: a.jsonl', /`dataset` must be .* Name the files alone, `dataset: \[rows\.jsonl\]`/],
    ['optimizer: adamw_torch', /`optimizer` must be one of .* `adamw_torch` is `adamw_32bit` here\.$/],
    ['dataset_format: chat_template', /`chat_template` is `messages` here\.$/],
    ['lr_scheduler: cosine_with_min_lr', /`cosine_with_min_lr` is `cosine` here\.$/],
    ['optimizer: adamw_bnb_8bit', /`adamw_bnb_8bit` is `adamw_8bit` here\.$/],
    ['seed:3', /with a space after the colon/],
    ['target_modules: "(("', /`target_modules` must be all-linear, a list of names or a regular expression/],
    ['target_modules: ")("', /`target_modules` must be .* \(got "\)\("\)/],
    ['model: "a\\0b"', /`model` must be text \(got "a\\u0000b"\)/],
    ['dataset: [a, "b\\0"]', /`dataset` must be a file or a list of files/],
    [
      'resume_from_checkpoint: true',
      /`resume_from_checkpoint` must be auto or the folder of a checkpoint \(got true\)/,
    ],
    [
      'optimizer: sgd\nadam_beta1: 0.9',
      /\[run\.yaml:2\] The optimizer sgd has no `adam_beta1`\. Leave it out/,
    ],
    ['optimizer: lion_8bit\nadam_epsilon: 1.0e-6', /The optimizer lion_8bit has no `adam_epsilon`/],
    ['lora_r: 0', /`lora_r` must be a whole number from 1 to 4096 \(got 0\)/],
    ['ranks: [1, 1]', /`ranks` must be a list of different whole numbers ≥ 1 \(got \[1,1\]\)/],
    ['ranks: [1, 2]\nlora_r: 4', /The largest of `ranks` is 2, but `lora_r` is 4\./],
    ['method: none\nranks: [1]', /`ranks` needs an adapter, but full training \(method none\) has none/],
    ['method: none\nquantization: nf4', /Full training \(method none\) cannot train nf4 weights/],
    ['init: config.json', /`init` starts from random weights, which needs `method`: none/],
    [
      'optimizer: paged_adamw_8bit\noptimizer_memory_budget: 3 bananas',
      /`optimizer_memory_budget` must be a size with a unit, such as 64MB or 8GB \(got "3 bananas"\)/,
    ],
    [
      'optimizer: paged_adamw_8bit\noptimizer_memory_budget: 32',
      /must be a size with a unit, such as 64MB or 8GB \(got 32\)\. Did you mean 32MB or 32GB\?$/,
    ],
    [
      'optimizer_memory_budget: 1GiB',
      /The optimizer adamw_32bit has no `optimizer_memory_budget`\. Choose paged_adamw_32bit/,
    ],
    ['optimizer: lion_8bit\npage_dir: pages', /The optimizer lion_8bit has no `page_dir`/],
    [
      'warmup_ratio: 0.05\nwarmup_steps: 5',
      /\[run\.yaml:1\] `warmup_ratio` and `warmup_steps` both set .* warm-up\. Leave one of them out/,
    ],
    [
      'activation_offload: true\ngradient_checkpointing: false',
      /\[run\.yaml:1\] `activation_offload` moves the inputs .* `gradient_checkpointing`: false no layer/,
    ],
    ['adam_beta2: 1', /`adam_beta2` must be a number ≥ 0 and < 1 \(got 1\)/],
    ['optimizer: adam', /`optimizer` must be one of adamw_32bit, adamw_8bit/],
    ['rank_distribution: [1, 2]', /`rank_distribution` must hold one weight for each of the ranks/],
    ['rank_loss_weights: [1, 2]', /`rank_loss_weights` has 2 numbers, but there are 7 ranks/],
    ['rank_loss_weights: [0]\nranks: [1]', /`rank_loss_weights` must be a list with one number > 0 for each/],
    ['distillation: 2', /`distillation` must be a number from 0 to 1 \(got 2\)/],
    ['distillation: 1\nlora_r: 1', /`distillation` needs several ranks, but the run has only rank 1/],
    ['distillation: 1\npreset: paper', /`distillation` needs `rank_schedule`: sandwich \(got one\)/],
    [
      'distillation: 1\ndistillation_student: drawn\nwide_ratio: 0.5',
      /`wide_ratio` cannot be used with `distillation_student`: drawn/,
    ],
    [
      'distillation: 1\ndistillation_student: drawn\nrank_segments: 2',
      /`rank_segments` has no effect with `distillation_student`: drawn/,
    ],
    [
      'distillation: 1\ndistillation_student: drawn\nmicro_batch_size: 3\ngradient_accumulation_steps: 1',
      /so `micro_batch_size` · `gradient_accumulation_steps` must be even \(got 3 · 1\)\. Make one/,
    ],
    ['method: none\ndistillation: 1', /`distillation` needs an adapter/],
    ['rank_rates: [1, 2]', /`rank_rates` has 2 numbers, but there are 7 ranks/],
    ['rank_rates: slow', /`rank_rates` must be uniform, inverse_sqrt, steep or a list of factors/],
    ['wide_ratio: 1', /`wide_ratio` must be a number ≥ 0 and < 1 \(got 1\)/],
    ['wide_ratio: 0.5\nmethod: lora', /`wide_ratio` needs several ranks\. Leave it out, or set it to 0/],
    [
      'wide_ratio: 0.5\nlora_scaling: sqrt',
      /`wide_ratio` needs nearly the same scale at all ranks: `lora_scaling` uniform or tapered or constant/,
    ],
    ['wide_ratio: 0.5\nupdate_rule: newest_block', /`wide_ratio` needs `update_rule`: prefix/],
    [
      'wide_ratio: 0.5\nadapter: old',
      /`wide_ratio` is only for a new adapter, but `adapter` names an existing one/,
    ],
    ['method: none\nwide_ratio: 0.5', /`wide_ratio` needs an adapter/],
    ['adapter_init: gradient\nadapter: old', /`adapter_init` is only for a new adapter, but `adapter`/],
    ['adapter_init_norm: 1', /`adapter_init_norm` needs `adapter_init`: gradient/],
    ['quantization_levels: [2]', /`quantization_levels` must be a list of different ones of 3, 4, 8 \(got/],
    ['quantization_levels: [4, 4]', /`quantization_levels` must be a list of different ones/],
    [
      'quantization: fp4\nquantization_levels: [3, 4]',
      /`quantization_levels` 3, 4 needs `quantization`: nf4 \(got fp4\)/,
    ],
    ['level_schedule: feedback', /`level_schedule`: feedback needs evaluations between steps/],
    ['method: none\nlevel_schedule: feedback', /`level_schedule` needs an adapter/],
    [
      'quantization_levels: [3, 4]\nlevel_schedule: distilled\ndistillation: 0',
      /`level_schedule`: distilled needs `distillation`, which is off in this run/,
    ],
    ['method: none\nquantization_levels: [3]', /`quantization_levels` needs an adapter/],
    ['eval_ranks: [128]', /`eval_ranks` has rank 128, but the largest is 64/],
    [
      'early_stopping: 3\neval_steps: 1\nval_set_size: 9',
      /`early_stopping` watches rank 3, which is not evaluated\. Choose aurac or one of the ranks 1, 2, 4/,
    ],
    ['early_stopping: loss', /`early_stopping` must be a rank or aurac \(got "loss"\)/],
    ['packing: true\ngroup_by_length: true', /`packing` and `group_by_length` exclude each other/],
    ['eval_dataset: a.jsonl\nval_set_size: 9', /`eval_dataset` \(a\.jsonl\) and `val_set_size` \(9\) both/],
    [
      'early_stopping_patience: 5\neval_steps: 1\nval_set_size: 9',
      /`early_stopping_patience` has no effect without `early_stopping`\. Set early_stopping to aurac or/,
    ],
    ['method: none\nearly_stopping_min_delta: 0.1', /`early_stopping_min_delta` has no effect without/],
    ['early_stopping: 64\nval_set_size: 9', /`early_stopping` needs evaluations between steps/],
    ['early_stopping: 64\neval_steps: 1', /`early_stopping` needs held-out rows.*val_set_size/],
    ['method: none\nadapter_init: gradient', /`adapter_init` needs an adapter, but full training/],
    ['val_set_size: 9\neval_budgets: [64]', /`eval_budgets` must be ranks or sizes with a unit/],
    ['val_set_size: 9\neval_budgets: []', /`eval_budgets` must be ranks or sizes with a unit/],
    ['eval_budgets: ranks', /`eval_budgets` needs held-out rows/],
    ['method: none\neval_budgets: 1MB', /`eval_budgets` needs an adapter/],
    ['method: none\nrate_ranks: [1]', /`rate_ranks` needs an adapter/],
    ['method: none\nrank_rates: uniform', /`rank_rates` needs an adapter/],
    ['wide_rates: dedicated\nwide_ratio: 0', /`wide_rates` is for the steps of `wide_ratio`, which is 0/],
    ['wide_rates: dedicated\nmethod: qlora', /`wide_rates` is for the steps of `wide_ratio`, which is 0/],
    ['method: none\nwide_rates: nested', /`wide_rates` needs an adapter/],
    ['method: none\npreconditioner: prefix', /`preconditioner` needs an adapter/],
    ['gradient_compression: fp8', /`gradient_compression` must be one of none, bf16, int8/],
    ['preconditioner: riemannian', /`preconditioner` must be one of none, prefix/],
    ['method: none\nearly_stopping: aurac', /`early_stopping` needs an adapter/],
    ['report_to: csv', /`report_to` must be none or a list of tensorboard \(got "csv"\)/],
    ['report_to: [tensorboard, wandb]', /`report_to` must be none or a list of tensorboard \(got \["tenso/],
    ['a: [', /\[run\.yaml:\d\] This is not YAML/],
    ['- a', /The file does not hold keys and values/],
    ['seed: 1\nseed: 2', /\[run\.yaml:2\] The key `seed` is set twice\. Remove one of the two lines\.$/],
    [
      'seed: 1\nranks: *some',
      /\[run\.yaml:2\] The value of `ranks` cannot be read: Unresolved alias.*some\. Write the value out\.$/,
    ],
    [
      `a: &a [${'x,'.repeat(99)}]\nb: &b [${'*a,'.repeat(99)}]\nc: [${'*b,'.repeat(99)}]`,
      /\[run\.yaml:3\] The value of `c` cannot be read: Excessive alias count/,
    ],
    [Buffer.from('seed: 1', 'utf16le').toString('utf8'), /\[run\.yaml\] The file is not UTF-8/],
  ])('%j is refused', async (yaml, message) => {
    const error = await errorOf(() => byYaml(yaml));
    expect(QdyloraError.isInstance(error)).toBe(true);
    expect([error.code, error.message]).toEqual(['BAD_CONFIG', expect.stringMatching(message)]);
  });

  it.each([
    ['warmup_steps: 5', { warmupRatio: 0.1 }, { warmupRatio: 0.1, warmupSteps: null }],
    ['warmup_ratio: 0.1', { warmupSteps: 5 }, { warmupRatio: null, warmupSteps: 5 }],
    ['max_steps: 100\nnum_epochs: 1', { numEpochs: 3 }, { numEpochs: 3, maxSteps: null }],
    ['max_steps: 100\nnum_epochs: 2', { seed: 1 }, { numEpochs: 2, maxSteps: 100 }],
  ])(
    'of %j and the flags %j takes what the flags say, also where the file says it by another key',
    async (yaml, flags, expected) => {
      expect(
        resolveRun(mergeExplicit(await parseRunYaml(yaml, 'run.yaml'), valuesOfFlags(flags))),
      ).toMatchObject(expected);
    },
  );

  it('takes the ranks and the scale of the adapter that it starts from', async () => {
    const inherited = { ranks: [1, 4], loraAlpha: 3, loraScaling: 'paper' } as const;
    expect(resolveRun(valuesOfOptions({ adapter: 'a' }), inherited)).toMatchObject({
      ranks: [1, 4],
      loraR: 4,
      loraAlpha: 3,
      loraScaling: 'paper',
    });
    expect(
      (await errorOf(() => resolveRun(valuesOfOptions({ adapter: 'a', loraR: 8 }), inherited))).message,
    ).toMatch(/^\[options\] The largest rank is 8, but .* was trained at 1, 4\. Choose one .* cannot grow/);
  });

  it('of a smaller rank takes the slice: the ranks up to it, at the scale that they had', async () => {
    const inherited = { ranks: [1, 4, 8], loraAlpha: 16, loraScaling: 'constant' } as const;
    const at = (keys: object) => resolveRun(valuesOfOptions({ adapter: 'a', ...keys }), inherited);
    const slice = { ranks: [1, 4], loraR: 4, loraAlpha: 8 };
    expect(at({ loraR: 4 })).toMatchObject(slice); // 16 / 8 = 8 / 4
    expect(at({ ranks: [1, 4] })).toMatchObject(slice);
    expect(at({ ranks: [4], loraAlpha: 2 })).toMatchObject({ ...slice, ranks: [4], loraAlpha: 2 });
    expect((await errorOf(() => at({ ranks: [1, 2] }))).message).toMatch(
      /The largest rank is 2, but the adapter to start from was trained at 1, 4, 8\. Choose one/,
    );
  });

  it('of a smaller rank keeps the rates of its rows: those of the ranks of the adapter', async () => {
    const inherited = { ranks: [1, 4, 8], loraAlpha: 16, loraScaling: 'uniform' } as const;
    const at = (keys: object) => resolveRun(valuesOfOptions({ adapter: 'a', ...keys }), inherited);
    expect(at({ ranks: [4] })).toMatchObject({ rankRates: 'steep', rateRanks: [1, 4, 8] });
    expect(at({ ranks: [4], rankRates: [3, 2, 1] })).toMatchObject({ rankRates: [3, 2, 1] });
    expect(at({ ranks: [4], rateRanks: [4] })).toMatchObject({ rankRates: 'inverse_sqrt', rateRanks: [4] });
    expect(at({})).toMatchObject({ rankRates: 'steep', rateRanks: null });
    expect((await errorOf(() => at({ ranks: [4], rateRanks: [1, 2] }))).message).toMatch(
      /The largest of `rateRanks` is 2, but the largest rank is 4\. Name the ranks of the run/,
    );
    expect((await errorOf(() => at({ ranks: [4], rankRates: [3, 2] }))).message).toMatch(
      /`rankRates` has 2 numbers, but there are 3 ranks/,
    );
  });
});

it('offers every optimizer that the trainer has', () => {
  expect([...OPTIMIZERS].sort()).toEqual([...OPTIMIZER_NAMES].sort());
});
