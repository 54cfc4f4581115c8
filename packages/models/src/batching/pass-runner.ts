import type { FloatView } from '@qdylora/contract';
import type { ForwardContext } from '@qdylora/tensor';
import type { CausalLm } from '../decoder/causal-lm.ts';
import { createHeadCodes, type HeadCodes } from '../decoder/head-codes.ts';
import type { KvPool } from './kv-pool.ts';
import { preparePass, type PreparedPass } from './prepared-pass.ts';
import { layoutOf, type PassSequence, type SequenceResult } from './sequence-pass.ts';

/** Runs passes of several models over one pool, and keeps those that write, for passes with equal layouts. */
export interface PassRunner extends Disposable {
  /** The one of `models` whose last pass was longest ago. */
  nextOf(models: Iterable<CausalLm>): CausalLm;
  /**
   * Computes the next tokens of sequences. If it throws, the next pass starts from new arrays.
   *
   * @param sequences in the order of their ranges
   */
  run(model: CausalLm, sequences: readonly PassSequence[]): Promise<SequenceResult[]>;
}

/**
 * Recorded passes that are kept. Each combination of request count, ranks and draft lengths has its own; most
 * last for a few tokens.
 */
const KEPT_PASSES = 8;

interface KeptPass {
  readonly model: CausalLm;
  readonly pass: PreparedPass;
}

export function createPassRunner(ctx: ForwardContext, pool: KvPool): PassRunner {
  /** The one that ran longest ago first. */
  const kept: KeptPass[] = [];
  const turns = new WeakMap<CausalLm, number>();
  let turn = 0;
  const codesByHead = new Map<FloatView, HeadCodes>();
  /** Only kernels of a CPU read the codes. */
  const codesOf = (head: FloatView): HeadCodes | undefined => {
    if (!ctx.backend.memory.space.isHost) return undefined;
    const codes = codesByHead.get(head) ?? createHeadCodes(ctx.backend, head);
    codesByHead.set(head, codes);
    return codes;
  };
  /** A pass with the layout of `sequences`; one that was kept is no longer. */
  const passOf = (model: CausalLm, sequences: readonly PassSequence[]): PreparedPass => {
    const layout = layoutOf(sequences, pool.ranges.capacity);
    const at = kept.findIndex(({ model: other, pass }) => other === model && pass.layout.key === layout.key);
    if (at >= 0) return kept.splice(at, 1)[0].pass;
    return preparePass(model, layout, { ctx, pool, codes: () => codesOf(model.head.weight) });
  };
  const keep = (model: CausalLm, pass: PreparedPass): void => {
    kept.push({ model, pass });
    if (kept.length > KEPT_PASSES) kept.shift()!.pass[Symbol.dispose]();
  };
  return {
    nextOf(models) {
      const turnOf = (model: CausalLm): number => turns.get(model) ?? 0;
      return [...models].reduce((first, model) => (turnOf(model) < turnOf(first) ? model : first));
    },
    async run(model, sequences) {
      turns.set(model, ++turn);
      const pass = passOf(model, sequences);
      let results: SequenceResult[];
      try {
        results = await pass.run(sequences);
      } catch (error) {
        pass[Symbol.dispose]();
        throw error;
      }
      if (pass.layout.isDecoding) keep(model, pass);
      else pass[Symbol.dispose]();
      return results;
    },
    [Symbol.dispose]() {
      for (const { pass } of kept.splice(0)) pass[Symbol.dispose]();
      for (const codes of codesByHead.values()) codes[Symbol.dispose]();
      codesByHead.clear();
    },
  };
}
