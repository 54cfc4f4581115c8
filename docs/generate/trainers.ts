/** Another trainer, with the names that its users write, in the order of its own documentation. */
export interface Trainer {
  readonly file: string;
  readonly title: string;
  /** Where it is configured. */
  readonly place: string;
  readonly names: readonly string[];
  /** Differences that no name shows. */
  readonly notes: readonly string[];
}

const ALPHA_NOTE =
  '`lora_alpha` is not divided by the rank: it is the scale itself at a single rank, and a little more at ' +
  'small ranks of several. To train as before at rank r, set `lora_scaling: paper`, which divides. With ' +
  'alpha / r in its place the scale is the same, but `rank_rates` is `inverse_sqrt` by default, so that B ' +
  'learns √r times slower: set `rank_rates: uniform` beside it.';

/**
 * What each trainer calls its settings. The page beside each name comes from the code: `KEYS` and
 * `FOREIGN_NAMES`. A test fails for a name that the code does not know.
 */
export const TRAINERS: readonly Trainer[] = [
  {
    file: 'peft',
    title: 'From PEFT',
    place: '`LoraConfig`, `BitsAndBytesConfig` and `TrainingArguments`',
    names: [
      'r',
      'lora_alpha',
      'lora_dropout',
      'target_modules',
      'load_in_4bit',
      'bnb_4bit_quant_type',
      'bnb_4bit_use_double_quant',
      'bnb_4bit_compute_dtype',
      'per_device_train_batch_size',
      'gradient_accumulation_steps',
      'num_train_epochs',
      'max_steps',
      'learning_rate',
      'lr_scheduler_type',
      'warmup_ratio',
      'warmup_steps',
      'weight_decay',
      'max_grad_norm',
      'optim',
      'gradient_checkpointing',
      'output_dir',
      'save_steps',
      'save_total_limit',
      'eval_steps',
      'logging_steps',
      'seed',
      'resume_from_checkpoint',
      'report_to',
    ],
    notes: [
      'PEFT trains one rank. `method: qlora` does the same here; the default trains every rank up ' +
        'to `lora_r`.',
      'PEFT divides `lora_alpha` by the rank. Here `lora_alpha` is the scale itself at a single rank ' +
        '(`lora_scaling: uniform`), and a little more at small ranks of several (`tapered`). ' +
        '`lora_scaling: paper` divides as PEFT does.',
      'Adapters that PEFT wrote can be read, evaluated and trained further with `adapter`.',
    ],
  },
  {
    file: 'trl',
    title: 'From TRL',
    place: '`SFTConfig`',
    names: [
      'model_name_or_path',
      'dataset_name',
      'max_length',
      'packing',
      'completion_only_loss',
      'assistant_only_loss',
      'chat_template_path',
      'per_device_train_batch_size',
      'gradient_accumulation_steps',
      'num_train_epochs',
      'learning_rate',
      'lr_scheduler_type',
      'warmup_ratio',
      'optim',
      'gradient_checkpointing',
      'group_by_length',
      'output_dir',
      'eval_strategy',
      'eval_steps',
      'save_strategy',
      'save_steps',
      'logging_steps',
      'report_to',
      'seed',
    ],
    notes: [
      'Only supervised fine-tuning is here. There is no DPO, GRPO or reward model.',
      'Rows have the fields that TRL takes: `messages`, `prompt` + `completion`, or `text`.',
      'A prompt and its completion are tokenized separately, so that the prompt has the tokens that ' +
        'generation starts from. TRL tokenizes them together: where a prompt ends in a space, tokens ' +
        'differ. Put the space at the beginning of the completion.',
      'Prompts are left out of the loss by default.',
    ],
  },
  {
    file: 'axolotl',
    title: 'From Axolotl',
    place: 'the YAML file',
    names: [
      'base_model',
      'load_in_4bit',
      'datasets',
      'test_datasets',
      'val_set_size',
      'sequence_len',
      'sample_packing',
      'train_on_inputs',
      'chat_template',
      'adapter',
      'lora_r',
      'lora_alpha',
      'lora_dropout',
      'lora_target_modules',
      'lora_target_linear',
      'micro_batch_size',
      'gradient_accumulation_steps',
      'num_epochs',
      'max_steps',
      'optimizer',
      'lr_scheduler',
      'learning_rate',
      'warmup_steps',
      'warmup_ratio',
      'weight_decay',
      'max_grad_norm',
      'gradient_checkpointing',
      'early_stopping_patience',
      'evals_per_epoch',
      'saves_per_epoch',
      'eval_steps',
      'save_steps',
      'save_total_limit',
      'resume_from_checkpoint',
      'auto_resume_from_checkpoints',
      'logging_steps',
      'output_dir',
      'seed',
    ],
    notes: [
      ALPHA_NOTE,
      "`adapter` is the folder of an adapter to start from, which is Axolotl's `lora_model_dir`. Axolotl's " +
        '`adapter: qlora` is `method: qlora`.',
      '`val_set_size` is a number of rows, or a share where it is below 1, as in Axolotl.',
      '`train_on_inputs: false` is `completion_only_loss: true`, the default.',
    ],
  },
  {
    file: 'unsloth',
    title: 'From Unsloth',
    place: '`FastLanguageModel.from_pretrained`, `get_peft_model` and `SFTConfig`',
    names: [
      'model_name',
      'max_seq_length',
      'load_in_4bit',
      'dtype',
      'r',
      'target_modules',
      'lora_alpha',
      'lora_dropout',
      'use_gradient_checkpointing',
      'per_device_train_batch_size',
      'gradient_accumulation_steps',
      'warmup_steps',
      'num_train_epochs',
      'max_steps',
      'learning_rate',
      'optim',
      'weight_decay',
      'lr_scheduler_type',
      'logging_steps',
      'output_dir',
      'report_to',
      'seed',
    ],
    notes: [
      ALPHA_NOTE,
      'Unsloth needs a GPU and is fast there. This project trains on the CPU today.',
      '`use_rslora` is what `lora_scaling: sqrt` does.',
      '4-bit checkpoints in the format of bitsandbytes, as Unsloth publishes them, can be opened.',
    ],
  },
  {
    file: 'mlx-lm',
    title: 'From mlx-lm',
    place: 'the YAML file of `mlx_lm.lora`',
    names: [
      'model',
      'data',
      'batch_size',
      'iters',
      'learning_rate',
      'optimizer',
      'lr_schedule',
      'max_seq_length',
      'mask_prompt',
      'lora_layers',
      'rank',
      'dropout',
      'grad_checkpoint',
      'steps_per_report',
      'save_every',
      'adapter_path',
      'resume',
      'seed',
    ],
    notes: [
      'mlx-lm runs on Apple GPUs. This project runs on x86-64 CPUs.',
      'mlx-lm takes a folder with `train.jsonl` and `valid.jsonl`; here `dataset` and ' +
        '`eval_dataset` name the files.',
      '`mask_prompt` is `completion_only_loss`, which is on by default.',
      'mlx-lm adapts the last layers only by default; `target_modules` takes a regular expression for that.',
    ],
  },
];
