/** Another trainer, with the names that its users write, in the order of its own documentation. */
export interface Trainer {
  readonly file: string;
  readonly title: string;
  /** Where it is configured. */
  readonly place: string;
  readonly names: readonly string[];
  /** Differences that no name shows. */
  readonly notes: readonly string[];
  /** Its values beside those that mean the same here. */
  readonly values?: readonly (readonly [there: string, here: string])[];
  /** Whether the page has the keys of a run that trains as the other trainer did. */
  readonly showsSameRun?: boolean;
  /** What its users look for and do not find. */
  readonly absent: readonly string[];
}

const ALPHA_NOTE =
  'The meaning of `lora_alpha` differs. It is not divided by the rank: for a single rank it is the scale ' +
  'itself, and for several ranks the scale is a little more at small ranks. To train as before, keep your ' +
  'alpha and set `lora_scaling: paper`, which divides by the rank. Setting `lora_alpha` to alpha / r gives ' +
  'the same scale, but then B learns √r times slower, because `rank_rates` is `inverse_sqrt` by default: ' +
  'set `rank_rates: uniform` too.';

const NO_TRACKERS = 'W&B, MLflow and other trackers: `report_to` has `tensorboard` alone';
const NO_PUSH = '`push_to_hub`: upload the folder that `export` or `merge` writes';
const NO_NEFTUNE = 'NEFTune (`neftune_noise_alpha`)';
const NO_VARIANTS = 'DoRA and other kinds of adapters';

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
      'use_rslora',
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
      'PEFT trains one rank. `method: qlora` trains one rank too, with another scale and learning rate; ' +
        'the default trains every rank up to `lora_r`.',
      ALPHA_NOTE,
      '`use_rslora: true` is `lora_scaling: sqrt`.',
      'PEFT adapts some layers by default, chosen by the model. Here it is `all-linear`.',
      'Adapters that PEFT wrote can be read, evaluated and trained further with `adapter`.',
    ],
    showsSameRun: true,
    absent: [
      `${NO_VARIANTS}: an adapter with \`use_dora\` is refused`,
      '`bias` and `lora_bias`: biases are not trained',
      '`modules_to_save`: such weights of an existing adapter are used, but no run trains new ones',
      '`layers_to_transform`, `exclude_modules`: `target_modules` takes a regular expression',
      '`rank_pattern`, `alpha_pattern`: a run has the same ranks in all layers; `export --budget` does not',
      NO_NEFTUNE,
      NO_PUSH,
      NO_TRACKERS,
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
        'generation starts from. TRL tokenizes them together: the text is the same, but where a prompt ' +
        'ends in a space or inside a word, tokens differ. Put the space at the beginning of the completion.',
      'Prompts are left out of the loss by default.',
      ALPHA_NOTE,
    ],
    showsSameRun: true,
    absent: [
      'DPO, GRPO and other trainers than `SFTTrainer`',
      NO_VARIANTS,
      '`modules_to_save` in a new run',
      '`formatting_func` and other functions: rows have one of the formats',
      NO_NEFTUNE,
      NO_PUSH,
      NO_TRACKERS,
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
      '`evals_per_epoch` and `saves_per_epoch` count times, `eval_steps` and `save_steps` count steps.',
    ],
    values: [
      ['`adapter: qlora`, `adapter: lora`', '`method: qlora`, `method: lora`'],
      [
        '`datasets: [{ path: rows.jsonl, type: alpaca }]`',
        '`dataset: [rows.jsonl]`, `dataset_format: alpaca`',
      ],
      ['`type: chat_template`', '`dataset_format: messages`'],
      ['`type: completion`', '`dataset_format: text`'],
      ['`optimizer: adamw_torch`, `adamw_torch_fused`', '`optimizer: adamw_32bit`'],
      ['`optimizer: adamw_bnb_8bit`', '`optimizer: adamw_8bit`'],
      ['`bf16: auto`', '`compute_dtype: auto`, the default'],
      ['`lora_target_linear: true`', '`target_modules: all-linear`, the default'],
    ],
    absent: [
      NO_VARIANTS,
      '`lora_modules_to_save`',
      'prompt strategies (`type:` of one’s own): rows have one of the formats',
      NO_NEFTUNE,
      '`hub_model_id`: upload the folder that `export` or `merge` writes',
      NO_TRACKERS,
      'DeepSpeed and FSDP: `launch` trains on several processes by MPI',
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
      '`use_gradient_checkpointing = "unsloth"` is `gradient_checkpointing: true`, the default.',
      'Unsloth needs a GPU and is fast there. This project trains on the CPU today.',
      '`use_rslora` is what `lora_scaling: sqrt` does.',
      '4-bit checkpoints in the format of bitsandbytes, as Unsloth publishes them, can be opened.',
    ],
    absent: [
      NO_VARIANTS,
      '`modules_to_save`: no run trains embeddings and the head beside an adapter',
      '`push_to_hub_merged`: upload the folder that `merge` writes',
      'K-quants in GGUF: `merge` writes f32, f16, bf16 and q8_0',
      NO_TRACKERS,
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
      'fine_tune_type',
      'num_layers',
      'rank',
      'scale',
      'dropout',
      'grad_checkpoint',
      'steps_per_report',
      'steps_per_eval',
      'save_every',
      'adapter_path',
      'resume_adapter_file',
      'seed',
    ],
    notes: [
      'mlx-lm runs on Apple GPUs. This project runs on x86-64 CPUs.',
      'mlx-lm takes a folder with `train.jsonl` and `valid.jsonl`; here `dataset` and ' +
        '`eval_dataset` name the files.',
      '`mask_prompt` is `completion_only_loss`, which is on by default.',
      '`num_layers`: mlx-lm adapts the last layers only by default; `target_modules` takes a regular ' +
        'expression for that.',
      '`rank`, `scale` and `dropout` are in `lora_parameters` there. Here keys are not nested.',
      '`scale` is the whole scale, as `lora_alpha` is here at a single rank.',
      '`adapter_path` is the folder that mlx-lm trains into: `output_dir` here. `resume_adapter_file` ' +
        'takes weights alone, as `adapter` does. `resume_from_checkpoint` continues a run, bit for bit.',
      '`fine_tune_type: lora` is `method: qlora` where the base was quantized, `full` is `method: none`.',
    ],
    absent: [
      `${NO_VARIANTS} (\`fine_tune_type: dora\`)`,
      "adapters in mlx-lm's own format",
      '`hf_dataset`: rows are files here',
      NO_TRACKERS,
    ],
  },
];
