import type { CausalLm } from '@qdylora/models';
import { createOptimizer } from '@qdylora/trainer';
import { COST_OPTIONS } from './cost-options.ts';
import { adamw, batchOf, costRunner } from './cost-runner.ts';
import { reportRatio, timed } from './report-ratio.ts';

/** AdamW with 8-bit states against 32-bit ones. */
export async function benchStates(model: CausalLm): Promise<void> {
  const plain = costRunner(model, adamw);
  const small = costRunner(model, (parameters) =>
    createOptimizer('adamw_8bit', parameters, { learningRate: 1e-4 }),
  );
  const seconds: number[] = [];
  const plainSeconds: number[] = [];
  for (let at = -1; at < COST_OPTIONS.steps; at++) {
    const batch = batchOf(model, at);
    const took: number[] = [];
    for (const { step } of [plain, small])
      took.push(
        await timed(async () => {
          if (!Number.isFinite(await step(at + 1, [batch], null))) throw new Error('expected a finite loss');
        }),
      );
    if (at >= 0) {
      plainSeconds.push(took[0]);
      seconds.push(took[1]);
    }
  }
  const [wide, narrow] = [plain, small].map(({ optimizer }) => optimizer.ledger().residentBytes) as [
    number,
    number,
  ];
  if (narrow > 0.3 * wide)
    throw new Error(`expected states of about a quarter, got ${narrow} of ${wide} bytes`);
  console.log(`\nstates: ${(narrow / 1e6).toFixed(0)} MB in 8 bits, ${(wide / 1e6).toFixed(0)} MB in 32`);
  reportRatio('adamw_8bit against adamw_32bit', seconds, plainSeconds);
  plain.optimizer.dispose();
  small.optimizer.dispose();
}
