export type { NativeArgument, NativeFunction, NativeLevel } from './addon-functions.ts';
export { cpuLevels, type CpuLevels } from './cpu-levels.ts';
export { createCpuBackend, type CpuBackend, type CpuBackendOptions } from './create-cpu-backend.ts';
export { createDryCpuBackend, WORKSPACES, type DryCpuBackend } from './create-dry-cpu-backend.ts';
export { ceilingOf } from './measure-ceiling.ts';
export { loadAddon, type LoadedAddon } from './load-addon.ts';
export { availableBytes } from './reserve-regions.ts';
export { fileReserver, type ReserveFile } from './reserve-file.ts';
export { usableThreads, type ThreadSources } from './usable-threads.ts';
