import { loadAddon } from '../load-addon.ts';
import type { CollectiveAddon } from '../queued-communicator.ts';

/** The functions of native/mpi/mpi-addon.cpp. */
export interface MpiAddon extends CollectiveAddon {
  /** What a library says that it is; 1: it is a shim. MPI need not be initialized. */
  identify(library: string): { readonly version: string; readonly isShim: 0 | 1 };
  open(library: string, abi: number): OpenedWorld;
  finalize(): void;
  abort(status: number): void;
}

export interface OpenedWorld {
  readonly rank: number;
  readonly size: number;
  /** 1 where other threads than the first may call MPI, one at a time. */
  readonly threads: 0 | 1;
  readonly version: string;
}

/** @throws QdyloraError UNSUPPORTED where there is none for this platform */
export const loadMpiAddon = (): MpiAddon => loadAddon('mpi') as MpiAddon;
