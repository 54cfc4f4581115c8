import type { FloatView } from '@qdylora/contract';
import type { ForwardContext } from '@qdylora/tensor';
import type { CausalLm } from '../decoder/causal-lm.ts';
import { createHeadCodes, type HeadCodes } from '../generate/head-codes.ts';
import type { KvPool } from './kv-pool.ts';
import { preparePass, type PreparedPass } from './prepared-pass.ts';
import { layoutOf, type PassSequence, type SequenceResult } from './sequence-pass.ts';

/** Runs passes of several models over one pool, and keeps the last pass of each for the next one. */
export interface PassRunner extends Disposable {
  /** The one of `models` whose last pass was longest ago. */
  nextOf(models: Iterable<CausalLm>): CausalLm;
  /**
   * Computes the next tokens of sequences. If it throws, the next pass starts from new arrays.
   *
   * @param sequences in the order of their ranges
   */
  run(model: CausalLm, sequences: readonly PassSequence[]): Promise<SequenceResult[]>;
  /** Releases what was kept for next passes. */
  trim(): void;
}

export function createPassRunner(ctx: ForwardContext, pool: KvPool): PassRunner {
  /** The one that ran longest ago first. */
  const passes = new Map<CausalLm, PreparedPass>();
  const codesByHead = new Map<FloatView, HeadCodes>();
  const codesOf = (head: FloatView): HeadCodes => {
    const codes = codesByHead.get(head) ?? createHeadCodes(ctx.backend, head);
    codesByHead.set(head, codes);
    return codes;
  };
  const drop = (model: CausalLm): void => {
    passes.get(model)?.[Symbol.dispose]();
    passes.delete(model);
  };
  const trim = (): void => {
    for (const model of [...passes.keys()]) drop(model);
  };
  return {
    trim,
    nextOf(models) {
      const candidates = new Set(models);
      const fresh = [...candidates].find((model) => !passes.has(model));
      return fresh ?? [...passes.keys()].find((model) => candidates.has(model))!;
    },
    async run(model, sequences) {
      const layout = layoutOf(sequences);
      const last = passes.get(model);
      if (last && last.layout.key !== layout.key) drop(model);
      const pass =
        passes.get(model) ??
        preparePass(model, layout, { ctx, pool, codes: () => codesOf(model.head.weight) });
      passes.delete(model);
      passes.set(model, pass);
      try {
        return await pass.run(sequences);
      } catch (error) {
        drop(model);
        throw error;
      }
    },
    [Symbol.dispose]() {
      trim();
      for (const codes of codesByHead.values()) codes[Symbol.dispose]();
      codesByHead.clear();
    },
  };
}
