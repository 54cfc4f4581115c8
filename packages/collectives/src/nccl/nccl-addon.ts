import { loadAddon } from '../load-addon.ts';
import type { CollectiveAddon } from '../queued-communicator.ts';

/** The functions of native/nccl/nccl-addon.cpp. An error has `call`, `result` and `isDriver`. */
export interface NcclAddon extends Omit<CollectiveAddon, 'barrier'> {
  /** @returns NCCL's version: 23203 is 2.32.3 */
  open(nccl: string, cuda: string): number;
  /** Fills 128 bytes. */
  createId(bytes: Uint8Array): void;
  connect(id: Uint8Array, rank: number, size: number, device: number): Promise<void>;
  close(): Promise<void>;
}

/** @throws QdyloraError UNSUPPORTED where there is none for this platform */
export const loadNcclAddon = (): NcclAddon => loadAddon('nccl') as NcclAddon;
