import { QdyloraError } from '@qdylora/contract';
import { itemsOf, numberOf, type PythonDict, type PythonValue } from '@qdylora/data';

/** `generation_kwargs` of a request, for greedy decoding. */
export interface GenerationSettings {
  /** Texts that end the answer. */
  readonly stops: readonly string[];
  readonly maxNewTokens: number;
}

/** The harness's `max_gen_toks`. */
export const DEFAULT_MAX_TOKENS = 256;
/** Names of the greatest number of tokens; the first one that is given counts. */
export const LENGTH_KEYS = ['max_gen_toks', 'max_new_tokens', 'max_tokens', 'max_completion_tokens'] as const;
/** Keys that change nothing in greedy decoding. */
const IDLE_KEYS: readonly string[] = ['until', 'do_sample', 'temperature', 'top_p', 'top_k'];

/** @throws QdyloraError UNSUPPORTED for sampling, and for keys that greedy decoding does not have */
export function generationSettings(settings: PythonDict): GenerationSettings {
  const known: readonly string[] = [...LENGTH_KEYS, ...IDLE_KEYS];
  const unknown = [...settings.keys()].find((key) => !known.includes(key));
  if (unknown !== undefined) throw unsupported(`\`${unknown}\``);
  const isSampling = settings.get('do_sample') ?? (numberOf(settings.get('temperature')) ?? 0) > 0;
  if (isSampling === true) throw unsupported('sampling (`do_sample`, `temperature`)');
  const until: PythonValue = settings.get('until') ?? [];
  const length = LENGTH_KEYS.map((key) => numberOf(settings.get(key))).find((value) => value !== null);
  return {
    stops: (itemsOf(until) ?? [until]) as readonly string[],
    maxNewTokens: length ?? DEFAULT_MAX_TOKENS,
  };
}

const unsupported = (setting: string): QdyloraError =>
  new QdyloraError('UNSUPPORTED', {
    where: 'generation_kwargs',
    problem: `Tasks are judged by greedy decoding, and the task asks for ${setting}`,
    nextStep: 'Remove it from the task, and set do_sample: false.',
  });
