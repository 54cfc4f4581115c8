/** An address on the device or of pinned memory, or a handle of the driver. 0: none. */
export type Handle = number;

/**
 * The driver's calls, as addon/driver-api.h declares them. A call throws an error with `call` and `result`
 * (`DriverFailure`) where the driver returns anything but 0. All but those on devices run in the context that
 * `setContext` chose.
 */
export interface CudaDriver {
  cuInit(flags: number): void;
  /** 1000 · major + 10 · minor of the newest CUDA that the driver knows. */
  cuDriverGetVersion(): number;
  cuDeviceGetCount(): number;
  cuDeviceGet(ordinal: number): number;
  cuDeviceGetName(device: number): string;
  cuDeviceTotalMem(device: number): number;
  cuDeviceGetAttribute(attribute: number, device: number): number;
  cuDevicePrimaryCtxRetain(device: number): Handle;
  cuDevicePrimaryCtxRelease(device: number): void;
  setContext(context: Handle): void;

  /** Free and total bytes of the device. */
  cuMemGetInfo(): [number, number];
  cuMemAlloc(bytes: number): Handle;
  cuMemFree(address: Handle): void;
  cuMemHostAlloc(bytes: number, flags: number): Handle;
  cuMemFreeHost(address: Handle): void;
  cuMemcpyHtoDAsync(to: Handle, from: Handle, bytes: number, stream: Handle): void;
  cuMemcpyDtoHAsync(to: Handle, from: Handle, bytes: number, stream: Handle): void;
  cuMemcpyDtoDAsync(to: Handle, from: Handle, bytes: number, stream: Handle): void;
  cuMemsetD32Async(to: Handle, value: number, words: number, stream: Handle): void;
  copyToPinned(to: Handle, bytes: Uint8Array): void;
  copyFromPinned(bytes: Uint8Array, from: Handle): void;

  cuModuleLoadData(image: Uint8Array): Handle;
  cuModuleUnload(module: Handle): void;
  cuModuleGetFunction(module: Handle, name: string): Handle;
  /** `bytes`: how many of the packed arguments count. */
  cuLaunchKernel(
    kernel: Handle,
    blocks: number,
    threads: number,
    sharedBytes: number,
    stream: Handle,
    packedArguments: Uint8Array,
    bytes: number,
  ): void;

  cuStreamCreate(flags: number): Handle;
  cuStreamDestroy(stream: Handle): void;
  cuStreamSynchronize(stream: Handle): void;
  cuStreamWaitEvent(stream: Handle, event: Handle, flags: number): void;
  cuStreamBeginCapture(stream: Handle, mode: number): void;
  cuStreamEndCapture(stream: Handle): Handle;
  cuEventCreate(flags: number): Handle;
  cuEventDestroy(event: Handle): void;
  cuEventRecord(event: Handle, stream: Handle): void;
  cuEventSynchronize(event: Handle): void;
  /** Milliseconds. */
  cuEventElapsedTime(start: Handle, end: Handle): number;
  /** The same as `cuEventSynchronize`, on a thread of Node's pool. */
  whenDone(event: Handle): Promise<void>;
  /** Returns when no `whenDone` waits any more. All work must have ended or failed before. */
  endWaits(): void;

  cuGraphInstantiate(graph: Handle, flags: number): Handle;
  cuGraphLaunch(graph: Handle, stream: Handle): void;
  cuGraphDestroy(graph: Handle): void;
  cuGraphExecDestroy(graph: Handle): void;

  /** Opens cuBLASLt, whose calls run in the same context. */
  openCublas(libraryPath: string): OpenedCublas;
}

/**
 * The calls of cuBLASLt, as addon/cublas-api.h declares them. They throw as those of the driver do; `result`
 * is a cublasStatus_t, and `errorName` is ''.
 */
export interface CublasCalls {
  cublasLtCreate(): Handle;
  cublasLtDestroy(library: Handle): void;
  cublasLtMatmulDescCreate(computeType: number, scaleType: number): Handle;
  cublasLtMatmulDescDestroy(description: Handle): void;
  cublasLtMatmulDescSetAttribute(
    description: Handle,
    attribute: number,
    value: Uint8Array,
    bytes: number,
  ): void;
  cublasLtMatrixLayoutCreate(type: number, rows: number, columns: number, leading: number): Handle;
  cublasLtMatrixLayoutDestroy(layout: Handle): void;
  cublasLtMatmulPreferenceCreate(): Handle;
  cublasLtMatmulPreferenceDestroy(preference: Handle): void;
  cublasLtMatmulPreferenceSetAttribute(
    preference: Handle,
    attribute: number,
    value: Uint8Array,
    bytes: number,
  ): void;
  /** Writes `wanted` results of 96 bytes into `results`, and returns how many there are. */
  cublasLtMatmulAlgoGetHeuristic(
    library: Handle,
    description: Handle,
    a: Handle,
    b: Handle,
    c: Handle,
    d: Handle,
    preference: Handle,
    wanted: number,
    results: Uint8Array,
  ): number;
  cublasLtMatmul(
    library: Handle,
    description: Handle,
    alpha: Uint8Array,
    a: Handle,
    aLayout: Handle,
    b: Handle,
    bLayout: Handle,
    beta: Uint8Array,
    c: Handle,
    cLayout: Handle,
    d: Handle,
    dLayout: Handle,
    algorithm: Uint8Array,
    workspace: Handle,
    workspaceBytes: number,
    stream: Handle,
  ): void;
}

/** What `openCublas` returns: the calls and the version only where `failure` and `missing` are ''. */
export interface OpenedCublas extends CublasCalls {
  readonly failure: string;
  readonly missing: string;
  /** 10000 · major + 100 · minor + patch. */
  readonly version: number;
}

/** What a call of the driver throws. */
export interface DriverFailure extends Error {
  /** The call: `cuMemAlloc`. */
  readonly call: string;
  /** CUresult. */
  readonly result: number;
  /** `CUDA_ERROR_OUT_OF_MEMORY`, or '' where the driver has no name. */
  readonly errorName: string;
}

/** What `open` returns: the calls only where `failure` and `missing` are ''. */
export interface OpenedLibrary extends CudaDriver {
  /** Why the library cannot be opened, or ''. */
  readonly failure: string;
  /** The symbols that it lacks, separated by spaces. */
  readonly missing: string;
}

/** addon/addon.cpp. */
export interface CudaAddon {
  open(libraryPath: string): OpenedLibrary;
}
