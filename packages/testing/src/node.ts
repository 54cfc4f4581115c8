export * from './faults/memory-file-system.ts';
export * from './files/mount-small-disk.ts';
export * from './files/temporary-folder.ts';
export * from './files/with-small-disk.ts';
export * from './fixtures/golden-sums.ts';
export * from './fixtures/shared-path.ts';
export {
  installedLaunchers,
  launch,
  startLaunch,
  watchLaunch,
  type LaunchOutcome,
  type MpiLauncher,
} from './mpi/launch.ts';
export { twoHosts, whyNoTwoHosts, type Link, type TwoHosts } from './mpi/two-hosts.ts';
export { workerProcesses, type WorkerProcess } from './mpi/worker-processes.ts';
