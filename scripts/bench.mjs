// `npm run bench [name …]`: sets everything up and runs bench/<name>.bench.ts (all by default), then the kernels' benches unless names are given.
import { basename, join } from 'node:path';
import { listFiles } from './list-files.mjs';
import { root, runCommand, runPnpm } from './run-command.mjs';
import { setUp } from './set-up.mjs';

const names = process.argv.slice(2);
setUp();
const files = listFiles(join(root, 'bench'), /\.bench\.ts$/).filter((file) => names.length === 0 || names.includes(basename(file, '.bench.ts')));
const results = files.map((file) => runCommand(process.execPath, ['--import', 'tsx', '--conditions=source', file], { cwd: join(root, 'bench') }));
if (names.length === 0) results.push(runPnpm(['--filter', '@qdylora/cpu-kernels', 'run', 'bench']));
if (results.length === 0) console.error(`[bench] no bench is called ${names.join(', ')}.`);
process.exitCode = results.length > 0 && results.every(({ status }) => status === 0) ? 0 : 1;
