/**
 * Efficiency of data-parallel training on more workers than we have: `simulateStep`. It is checked against
 * steps of 1 and 2 workers in results/simulated-workers.md.
 *
 *     npm run bench simulated-steps -- [--pass-seconds 3.33] [--gradient-mb 78] [--update-seconds 0.05]
 *         [--spread 0.02] [--seconds-per-gradient-gb 1.5]
 *
 * The defaults are SmolLM2-135M at r = 64 with micro batches of 4 · 512 tokens on 2 cores: 615 tokens a
 * second (`training-step`), 305,280 gradient elements a rank, 0.29 s for an exact sum of 78 MB on two workers
 * (`reduction`). The time of an update and the spread of a pass are assumed; links have nominal rates and
 * latencies. Strong scaling shares out 64 micro batches; weak scaling has as many as workers.
 */
import { parseArgs } from 'node:util';
import { recordRows } from '@qdylora/testing/bench';
import { simulateStep } from './simulate-step.ts';

const { values } = parseArgs({
  options: {
    'pass-seconds': { type: 'string', default: '3.33' },
    'gradient-mb': { type: 'string', default: '78' },
    'update-seconds': { type: 'string', default: '0.05' },
    'seconds-per-gradient-gb': { type: 'string', default: '1.5' },
    spread: { type: 'string', default: '0.02' },
  },
});

const LINKS = {
  '1 Gbit/s, 10 ms': { latencySeconds: 0.01, bytesPerSecond: 118e6 },
  '10 Gbit/s, 50 us': { latencySeconds: 50e-6, bytesPerSecond: 1.18e9 },
  '100 Gbit/s, 5 us': { latencySeconds: 5e-6, bytesPerSecond: 11.8e9 },
};
const WORKERS = [8, 64, 1024];
/** Micro batches of a step where the number of workers does not change them. */
const FIXED = 64;

for (const [link, costs] of Object.entries(LINKS))
  for (const scaling of ['strong', 'weak'] as const)
    for (const workers of WORKERS) {
      const microBatches = scaling === 'strong' ? FIXED : workers;
      const { seconds, communicationShare, efficiency } = simulateStep(
        {
          ...costs,
          passSeconds: Number(values['pass-seconds']),
          updateSeconds: Number(values['update-seconds']),
          secondsPerGradientByte: Number(values['seconds-per-gradient-gb']) / 1e9,
          spread: Number(values.spread),
        },
        { workers, microBatches, gradientBytes: 1e6 * Number(values['gradient-mb']) },
      );
      const rounded = (value: number): number => Number(value.toPrecision(3));
      const row = {
        link,
        scaling,
        workers,
        'micro batches': microBatches,
        'step s': rounded(seconds),
        communication: rounded(communicationShare),
        efficiency: rounded(efficiency),
      };
      console.log(JSON.stringify(row));
      recordRows([row]);
    }
