import * as nodeFs from 'node:fs';

/** The file system calls of writers, passed as an argument so that a test can make any of them fail. */
export type FileSystem = Pick<
  typeof nodeFs,
  | 'openSync'
  | 'writeSync'
  | 'writev'
  | 'readSync'
  | 'fsyncSync'
  | 'fsync'
  | 'closeSync'
  | 'renameSync'
  | 'rmSync'
  | 'mkdirSync'
  | 'readdirSync'
  | 'existsSync'
  | 'lstatSync'
  | 'readFileSync'
  | 'statfsSync'
>;

/** The file system calls of `node:fs`, the default of every writer. */
export const NODE_FILE_SYSTEM: FileSystem = nodeFs;
