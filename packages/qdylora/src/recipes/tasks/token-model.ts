import { NOT_COUNTED, type Tokenizer } from '@qdylora/data';
import type { ScoredTokens, TokenModel, TokenScore } from '@qdylora/eval';
import { generate, type CausalLm } from '@qdylora/models';
import { inferenceContext, type ActiveRank, type ComputeDtype } from '@qdylora/tensor';

export interface TokenModelOptions {
  readonly tokenizer: Tokenizer;
  /** Ids that end a generated text. */
  readonly stopIds: readonly number[];
  readonly computeDtype: ComputeDtype;
}

/** A model at one rank, or without its adapter (`active: null`), as the tasks of `@qdylora/eval` ask it. */
export function tokenModel(
  view: { readonly model: CausalLm; readonly active: ActiveRank | null },
  { tokenizer, stopIds, computeDtype }: TokenModelOptions,
): TokenModel {
  const { model, active } = view;
  const ctx = { ...inferenceContext(model.backend, computeDtype), activationDtype: computeDtype, active };
  return {
    tokenizer,
    maxLength: model.config.maxPositions,
    async score(sequences) {
      const inputs = lossInputs(sequences);
      const { tokenLosses, likeliest } = await model.scoreTargets(ctx, inputs);
      return sequences.map((_, s): TokenScore => {
        let logLikelihood = 0;
        let isGreedy = true;
        for (let t = inputs.segments[s]; t < inputs.segments[s + 1]; t++) {
          if (inputs.targets[t] === NOT_COUNTED) continue;
          logLikelihood -= tokenLosses[t];
          isGreedy &&= likeliest[t] === inputs.targets[t];
        }
        return { logLikelihood, isGreedy };
      });
    },
    generate: (prompt, maxNewTokens) => generate(view, prompt, { maxNewTokens, stopIds, computeDtype }),
  };
}

/** Sequences one after another; the targets belong to the last ids of each. */
function lossInputs(sequences: readonly ScoredTokens[]) {
  const segments = [0];
  for (const { ids } of sequences) segments.push(segments.at(-1)! + ids.length);
  return {
    ids: Int32Array.from(sequences.flatMap(({ ids }) => ids)),
    positions: Int32Array.from(sequences.flatMap(({ ids }) => [...ids.keys()])),
    targets: Int32Array.from(
      sequences.flatMap(({ ids, targets }) => [
        ...new Array<number>(ids.length - targets.length).fill(NOT_COUNTED),
        ...targets,
      ]),
    ),
    segments: Int32Array.from(segments),
  };
}
