import { foreignSpelling } from './names.ts';

/** Keys of other trainers that have no counterpart here, by the sentence that says so. */
const NAMES: Readonly<Record<string, readonly string[]>> = {
  'Evaluation chooses its batches itself, so there is no key for their size.': [
    'eval_batch_size',
    'per_device_eval_batch_size',
    'eval_micro_batch_size',
    'eval_accumulation_steps',
  ],
  'The adapter of the best evaluation is always kept, in adapter-best beside that of the last step.': [
    'load_best_model_at_end',
  ],
  'The best evaluation has the lowest mean held-out loss; early_stopping chooses what may end a run.': [
    'metric_for_best_model',
    'greater_is_better',
  ],
  'All rows of a file are used: shorten the file, or limit the steps with max_steps.': [
    'max_samples',
    'max_train_samples',
    'max_eval_samples',
  ],
  'Several processes are started by `qdylora launch`, without a key.': [
    'local_rank',
    'deepspeed',
    'fsdp',
    'fsdp_config',
    'ddp_timeout',
    'ddp_backend',
    'world_size',
  ],
  'It is read from the config.json of the model.': [
    'rope_scaling',
    'rope_theta',
    'attn_implementation',
    'flash_attention',
    'flash_attn',
    'sdp_attention',
    'model_type',
    'tokenizer_type',
  ],
  'DoRA is not here.': ['use_dora', 'peft_use_dora', 'lora_use_dora'],
  'NEFTune is not here.': ['neftune_noise_alpha', 'noisy_embedding_alpha'],
  'Adapters are trained on linear layers alone: whole modules and biases stay as they are.': [
    'modules_to_save',
    'lora_modules_to_save',
    'additional_target',
    'train_bias',
    'lora_bias',
  ],
  'All layers get an adapter: target_modules chooses among their matrices.': [
    'layers_to_transform',
    'peft_layers_to_transform',
    'layers_pattern',
  ],
  'Nothing is uploaded: upload the output folder with another tool.': [
    'push_to_hub',
    'hub_model_id',
    'hub_token',
    'hub_strategy',
  ],
  'Weights & Biases is not here; report_to knows tensorboard.': ['wandb_entity', 'wandb_name', 'use_wandb'],
  'Variables of the chat template are given by each row: its field chat_template_kwargs.': [
    'chat_template_kwargs',
  ],
};

const SENTENCES: ReadonlyMap<string, string> = new Map(
  Object.entries(NAMES).flatMap(([sentence, names]) => names.map((name) => [name, sentence] as const)),
);

/** Why there is no such key here: one sentence. Null for a name that is not known. */
export const absenceOf = (written: string): string | null => SENTENCES.get(foreignSpelling(written)) ?? null;

/** All names that have no counterpart here. */
export const ABSENT_NAMES: readonly string[] = [...SENTENCES.keys()];
