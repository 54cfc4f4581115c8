import type { PythonDict } from '@qdylora/data';

/** What a task asks of a model. */
export type ModelRequest =
  /** log p of a continuation after a context, and whether greedy decoding would write it. */
  | {
      readonly type: 'loglikelihood';
      readonly context: string;
      readonly continuation: string;
      /** Only the first token of the continuation counts, encoded apart from the context. Default: false. */
      readonly isToken?: boolean;
    }
  /** log p of a whole text. */
  | { readonly type: 'loglikelihood_rolling'; readonly text: string }
  /** The text that the model writes after a context. `settings`: `generation_kwargs`. */
  | { readonly type: 'generate_until'; readonly context: string; readonly settings: PythonDict };

/** The response to a `loglikelihood` request. */
export interface LogLikelihood {
  /** log p of the continuation, summed over its tokens, in nats. */
  readonly logLikelihood: number;
  /** Every token of the continuation is the likeliest one. */
  readonly isGreedy: boolean;
}

/** The answer to a request, by its type: `LogLikelihood`, a log-likelihood, a text. */
export type ModelResponse = LogLikelihood | number | string;
