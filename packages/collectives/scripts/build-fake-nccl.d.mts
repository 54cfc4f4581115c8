/** The libraries of fake-nccl, compiled. */
export interface FakeNccl {
  readonly ncclPath: string;
  readonly cudaPath: string;
}

export function buildFakeNccl(folder: string): FakeNccl | null;
