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
    'model_type',
    'tokenizer_type',
    'is_llama_derived_model',
    'is_mistral_derived_model',
    'is_falcon_derived_model',
  ],
  'There is one kind of attention, so it has no key.': [
    'attn_implementation',
    'flash_attention',
    'flash_attn',
    'sdp_attention',
    'xformers_attention',
    'flex_attention',
    'eager_attention',
  ],
  'Kernels are those of the backend: there is nothing to switch on.': [
    'use_liger_kernel',
    'torch_compile',
    'tf32',
    'plugins',
    'cut_cross_entropy',
    'liger_rope',
    'liger_rms_norm',
    'liger_glu_activation',
    'liger_layer_norm',
    'liger_fused_linear_cross_entropy',
    'lora_mlp_kernel',
    'lora_qkv_kernel',
    'lora_o_kernel',
  ],
  'Special tokens are those of the tokenizer of the model.': [
    'special_tokens',
    'tokens',
    'pad_token',
    'eos_token',
    'bos_token',
    'add_eos_token',
    'add_bos_token',
  ],
  'Batches have no padding, so there is no key for it.': [
    'pad_to_sequence_len',
    'pad_to_multiple_of',
    'padding_free',
    'padding_side',
  ],
  'The run tokenizes its rows itself, so there is no key for it.': [
    'dataset_prepared_path',
    'dataset_processes',
    'dataset_num_proc',
    'dataset_kwargs',
    'preprocessing_num_workers',
    'overwrite_cache',
    'dataloader_num_workers',
    'dataloader_pin_memory',
    'dataloader_prefetch_factor',
  ],
  'The name of a field is that of the row format: see dataset_format.': [
    'dataset_text_field',
    'prompt_feature',
    'completion_feature',
    'text_feature',
  ],
  'The command says what is done (train, eval, generate), so there is no key for it.': [
    'do_train',
    'do_eval',
    'do_predict',
    'train',
    'test',
  ],
  'Training is supervised fine-tuning alone.': ['stage', 'rl', 'reward_model'],
  'Results of a run are never overwritten: choose another output_dir.': ['overwrite_output_dir'],
  'Weights are written as safetensors alone.': ['save_safetensors'],
  'Code that comes with a model is never run.': ['trust_remote_code'],
  'A base is stored in 4 bits or not quantized; quantization_levels: [4, 8] uses it at 8 bits, too.': [
    'load_in_8bit',
  ],
  'PiSSA is not here: it changes the base.': ['pissa_init', 'use_pissa'],
  'A run has the same ranks in all layers; `export --budget` chooses a rank for each layer.': [
    'rank_pattern',
    'alpha_pattern',
    'lora_rank_pattern',
  ],
  'Leave modules out by a regular expression in target_modules.': ['exclude_modules'],
  'Label smoothing is not here.': ['label_smoothing_factor', 'label_smoothing'],
  'DoRA is not here.': ['use_dora', 'peft_use_dora', 'lora_use_dora'],
  'NEFTune is not here.': ['neftune_noise_alpha', 'noisy_embedding_alpha'],
  'Adapters are trained on linear layers alone: whole modules and biases stay as they are.': [
    'modules_to_save',
    'lora_modules_to_save',
    'additional_target',
    'train_bias',
    'bias',
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
    'push_dataset_to_hub',
    'hub_strategy',
  ],
  'Weights & Biases is not here; report_to knows tensorboard.': [
    'use_wandb',
    'wandb',
    'wandb_project',
    'wandb_entity',
    'wandb_name',
    'wandb_run_id',
    'wandb_mode',
    'wandb_watch',
    'wandb_log_model',
  ],
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
