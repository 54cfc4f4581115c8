import { FLOAT_DTYPES } from '../arrays/dtype.ts';
import { CONTRACT_VERSION, type Backend } from './backend.ts';
import { createHostMemory, type HostMemoryOptions } from '../memory/host-memory.ts';

/**
 * The pure TypeScript backend: host memory and no kernels, so every op runs its float64 reference. Slow,
 * everywhere, and the oracle of every test.
 */
export const createHostBackend = (options: HostMemoryOptions = {}): Backend => ({
  name: 'host',
  contractVersion: CONTRACT_VERSION,
  memory: createHostMemory(options),
  floatDtypes: FLOAT_DTYPES,
  kernel: () => undefined,
});
