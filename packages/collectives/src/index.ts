export type { Communicator, NumberArray, Reduction, SentArray } from './communicator.ts';
export { connectWorld, type ConnectWorldOptions } from './launcher/connect-world.ts';
export { readLauncher, type Launcher, type LauncherName } from './launcher/read-launcher.ts';
export { connectMpi, DEFAULT_TIMEOUT_SECONDS, type ConnectMpiOptions } from './mpi/connect-mpi.ts';
export { MPI_LIBRARIES, type MpiAbi, type MpiLibrary } from './mpi/mpi-libraries.ts';
export { oneProcess } from './one-process.ts';
export { areSiblings, blocksOf, termsOfWorker, type TermRange } from './ordered-sum/blocks.ts';
export { sumInOrder, type OrderedTerms } from './ordered-sum/sum-in-order.ts';
export { localWorld } from './testing/local-world.ts';
