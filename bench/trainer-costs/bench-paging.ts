import { hostData } from '@qdylora/contract';
import { fileReserver } from '@qdylora/cpu-kernels';
import type { CausalLm } from '@qdylora/models';
import { createOptimizer } from '@qdylora/trainer';
import { COST_OPTIONS } from './cost-options.ts';
import { adamw, batchOf, costRunner } from './cost-runner.ts';
import { reportRatio, timed } from './report-ratio.ts';

/** AdamW with half of its states on pages against all in memory. */
export async function benchPaging(model: CausalLm): Promise<void> {
  const plain = costRunner(model, adamw);
  const stateBytes = 2 * 4 * plain.adapted.report.trainableCount;
  const paged = costRunner(model, (parameters) =>
    createOptimizer('paged_adamw_32bit', parameters, {
      learningRate: 1e-4,
      paging: { budgetBytes: stateBytes / 2, folder: COST_OPTIONS.scratch, reserve: fileReserver() },
    }),
  );
  const seconds: number[] = [];
  const plainSeconds: number[] = [];
  for (let at = -1; at < COST_OPTIONS.steps; at++) {
    const batch = batchOf(model, at);
    const took = [
      await timed(() => plain.step(at + 1, [batch], null)),
      await timed(() => paged.step(at + 1, [batch], null)),
    ];
    if (at >= 0) {
      plainSeconds.push(took[0]);
      seconds.push(took[1]);
    }
  }
  const isSame = plain.adapted
    .parameters()
    .every(
      ({ view }, p) =>
        Buffer.compare(bytesOf(hostData(view)), bytesOf(hostData(paged.adapted.parameters()[p].view))) === 0,
    );
  if (!isSame) throw new Error('expected the same bits with and without pages');
  const { residentBytes, pagedBytes, pageIns } = paged.optimizer.ledger();
  console.log(
    `\npaging: ${(pagedBytes / 1e6).toFixed(0)} MB of states on pages, ${(residentBytes / 1e6).toFixed(0)} ` +
      `MB in memory, ${Math.round(pageIns / (COST_OPTIONS.steps + 1))} pages a step; weights ` +
      `bit-equal to unpaged after ${COST_OPTIONS.steps + 1} steps`,
  );
  reportRatio('paged_adamw_32bit against adamw_32bit', seconds, plainSeconds);
  plain.optimizer.dispose();
  paged.optimizer.dispose();
}

const bytesOf = ({ buffer, byteOffset, byteLength }: ArrayBufferView): Buffer =>
  Buffer.from(buffer as ArrayBuffer, byteOffset, byteLength);
