/** Our key for a name that another trainer uses. */
export interface ForeignName {
  /** In YAML's spelling. */
  readonly key: string;
  /**
   * True where the other name means the opposite: `train_on_inputs: false` is `completion_only_loss: true`.
   */
  readonly isOpposite: boolean;
  /** Our key where the name means an adapter to read, not a folder to write; null: it means `key` alone. */
  readonly readKey: string | null;
  /** A sentence on what differs besides the name; null: nothing does. */
  readonly remark: string | null;
}

const OPPOSITES: ReadonlySet<string> = new Set(['train_on_inputs', 'train_on_prompt']);

/** mlx-lm trains into the folder `adapter_path`. Its other commands, and other programs, read it. */
const READ_KEYS: ReadonlyMap<string, string> = new Map([['adapter_path', 'adapter']]);

const IS_STEPS = 'It is a number of optimizer steps.';
const CHOOSES_LAYERS = 'A regular expression of the names of modules chooses layers.';

const REMARKS: ReadonlyMap<string, string> = new Map([
  ['evals_per_epoch', IS_STEPS],
  ['eval_strategy', IS_STEPS],
  ['evaluation_strategy', IS_STEPS],
  ['saves_per_epoch', IS_STEPS],
  ['save_strategy', IS_STEPS],
  ['logging_strategy', IS_STEPS],
  ['num_layers', CHOOSES_LAYERS],
  ['lora_layers', CHOOSES_LAYERS],
]);

/** Names of transformers, TRL, PEFT, axolotl, LLaMA-Factory and mlx-lm, in YAML's spelling. */
export const FOREIGN_NAMES: ReadonlyMap<string, ForeignName> = new Map(
  Object.entries({
    model: [
      'base_model',
      'model_name',
      'model_name_or_path',
      'model_id',
      'pretrained_model_name_or_path',
      'model_path',
    ],
    method: ['fine_tune_type', 'finetuning_type'],
    dataset: [
      'datasets',
      'data',
      'data_path',
      'dataset_path',
      'dataset_name',
      'train_file',
      'train_dataset',
      'train_data',
      'pretraining_dataset',
    ],
    eval_dataset: [
      'eval_file',
      'eval_data',
      'test_file',
      'test_datasets',
      'validation_file',
      'val_dataset',
      'validation_dataset',
    ],
    val_set_size: ['val_size', 'validation_split', 'test_size', 'eval_size'],
    dataset_format: ['format', 'dataset_type', 'chat_format'],
    chat_template: ['template', 'chat_template_jinja', 'chat_template_path', 'conversation_template'],
    max_seq_length: [
      'max_length',
      'max_seq_len',
      'seq_len',
      'seq_length',
      'sequence_len',
      'sequence_length',
      'cutoff_len',
      'model_max_length',
      'block_size',
      'context_length',
    ],
    packing: ['sample_packing', 'pack', 'neat_packing'],
    micro_batch_size: [
      'batch_size',
      'per_device_train_batch_size',
      'train_batch_size',
      'per_device_batch_size',
    ],
    gradient_accumulation_steps: [
      'gradient_accumulation',
      'grad_accum',
      'grad_accum_steps',
      'accumulation_steps',
    ],
    num_epochs: ['epochs', 'num_train_epochs', 'n_epochs', 'max_epochs'],
    max_steps: ['steps', 'num_steps', 'num_training_steps', 'total_steps', 'max_train_steps', 'iters'],
    learning_rate: ['lr', 'max_lr', 'peak_lr'],
    lr_scheduler: ['scheduler', 'lr_scheduler_type', 'lr_schedule', 'scheduler_type'],
    warmup_steps: ['num_warmup_steps', 'warmup', 'lr_warmup_steps'],
    min_learning_rate_ratio: ['min_lr_rate', 'cosine_min_lr_ratio', 'min_lr_ratio'],
    max_grad_norm: ['grad_clip', 'gradient_clipping', 'clip_grad_norm', 'gradient_clip_val', 'grad_norm'],
    weight_decay: ['wd', 'decay'],
    optimizer: ['optim', 'optimiser'],
    adam_beta1: ['beta1'],
    adam_beta2: ['beta2'],
    adam_epsilon: ['epsilon', 'eps', 'adam_eps'],
    lora_r: ['r', 'rank', 'lora_rank', 'lora_dim', 'max_rank'],
    ranks: ['lora_ranks', 'rank_list'],
    lora_alpha: ['alpha', 'lora_scale', 'scale'],
    lora_scaling: ['use_rslora'],
    lora_dropout: ['dropout'],
    target_modules: [
      'lora_target_modules',
      'lora_target',
      'modules',
      'target',
      'lora_target_linear',
      'lora_layers',
      'num_layers',
    ],
    adapter_init: ['init_lora_weights', 'peft_init_lora_weights'],
    adapter: ['adapter_name_or_path', 'lora_model_dir', 'lora_path', 'resume_adapter_file'],
    quantization: [
      'load_in_4bit',
      'quant_type',
      'bnb_4bit_quant_type',
      'quantization_bit',
      'quantization_method',
      'bits',
    ],
    activation_offload: ['activation_offloading'],
    double_quantization: [
      'use_bnb_nested_quant',
      'use_double_quant',
      'bnb_4bit_use_double_quant',
      'double_quant',
    ],
    compute_dtype: [
      'bf16',
      'fp16',
      'dtype',
      'torch_dtype',
      'bnb_4bit_compute_dtype',
      'precision',
      'mixed_precision',
    ],
    gradient_checkpointing: [
      'activation_checkpointing',
      'grad_checkpoint',
      'recompute',
      'use_gradient_checkpointing',
    ],
    completion_only_loss: [
      'train_on_inputs',
      'assistant_only_loss',
      'train_on_prompt',
      'mask_prompt',
      'train_on_responses_only',
    ],
    output_dir: ['output', 'out_dir', 'output_path', 'save_dir', 'adapter_path'],
    resume_from_checkpoint: ['resume', 'resume_from', 'auto_resume_from_checkpoints'],
    logging_steps: ['log_steps', 'log_interval', 'steps_per_report', 'logging_strategy'],
    eval_steps: [
      'eval_interval',
      'evaluation_steps',
      'evals_per_epoch',
      'eval_strategy',
      'evaluation_strategy',
      'steps_per_eval',
    ],
    save_steps: ['save_interval', 'save_every', 'saves_per_epoch', 'save_strategy', 'checkpoint_interval'],
    save_total_limit: ['max_checkpoints', 'keep_last'],
    report_to: ['logger', 'log_with', 'tensorboard', 'logging_dir'],
    num_threads: ['threads', 'num_workers', 'n_threads'],
    group_by_length: ['length_grouping'],
    early_stopping_patience: ['patience'],
    early_stopping_min_delta: ['early_stopping_threshold'],
    seed: ['random_seed'],
  }).flatMap(([key, names]) =>
    names.map((name): [string, ForeignName] => [
      name,
      {
        key,
        isOpposite: OPPOSITES.has(name),
        readKey: READ_KEYS.get(name) ?? null,
        remark: REMARKS.get(name) ?? null,
      },
    ]),
  ),
);
