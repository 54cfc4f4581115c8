import type { Tokenizer } from '@qdylora/data';
import { DEFAULT_RESAMPLES, FEWSHOT_SEED, HARNESS_VERSION, type RunFacts } from '@qdylora/eval';
import { VERSION } from '../../version.ts';
import type { OpenModel } from '../opening/open-model.ts';
import type { EvaluateTasksConfig } from './evaluate-tasks-config.ts';
import { sanitizedName } from './write-task-results.ts';

/** `smol:r8`, `smol:base`; the model's own name without an adapter. */
export const modelName = ({ source, adapter }: OpenModel, rank: number | null): string =>
  adapter ? `${source.name}:${rank === null ? 'base' : `r${rank}`}` : source.name;

/** What the harness tells about model and run. */
export function factsOf(
  opened: OpenModel,
  rank: number | null,
  { limit, tasks }: EvaluateTasksConfig,
  { date, tokenizer, maxLength }: { date: Date; tokenizer: Tokenizer; maxLength: number },
): RunFacts {
  const name = modelName(opened, rank);
  const special = (id: number | null): readonly [string, number] | null =>
    id === null ? null : [tokenizer.decode([id]), id];
  return {
    config: new Map<string, RunFacts[string]>([
      ['model', 'qdylora'],
      ['model_args', `pretrained=${opened.source.name}${rank === null ? '' : `,rank=${rank}`}`],
      ['model_dtype', opened.computeDtype],
      ['tasks', tasks],
      ['limit', limit],
      ['bootstrap_iters', DEFAULT_RESAMPLES],
      ['fewshot_seed', FEWSHOT_SEED],
    ]),
    date: Math.floor(date.getTime() / 1000),
    lm_eval_version: HARNESS_VERSION,
    qdylora_version: VERSION,
    tokenizer_pad_token: special(tokenizer.padId),
    tokenizer_eos_token: special(tokenizer.eosId),
    tokenizer_bos_token: special(tokenizer.bosId),
    eot_token_id: tokenizer.eosId,
    max_length: maxLength,
    model_source: 'qdylora',
    model_name: name,
    model_name_sanitized: sanitizedName(name),
  };
}
