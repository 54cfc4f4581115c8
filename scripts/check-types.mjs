// Types of the whole project in two programs: the packages that run in a browser without Node's types, then
// everything with them. A program for each package took four times as long.
import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { reportCheck } from './report-check.mjs';
import { root } from './run-command.mjs';

const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc');

/** The compiler's messages, and how many source files it read, for one tsconfig. */
function checkProgram(config) {
  const args = [tsc, '-p', join(root, config), '--listFiles', '--pretty', 'false'];
  const child = spawn(process.execPath, args, { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] });
  const chunks = [];
  child.stdout.on('data', (chunk) => chunks.push(chunk));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (status) => {
      const lines = Buffer.concat(chunks).toString('utf8').split('\n').filter(Boolean);
      const files = lines.filter((line) => line.startsWith(root) && !line.includes('node_modules'));
      const messages = lines.filter((line) => !/^([A-Z]:)?[\\/]/.test(line));
      if (status !== 0 && messages.length === 0) messages.push(`${config}: tsc ended with ${status}`);
      resolve({ files: files.length, messages });
    });
  });
}

const programs = await Promise.all(['tsconfig.pure.json', 'tsconfig.json'].map(checkProgram));
const [pure, whole] = programs;
reportCheck(
  'check-types',
  { 'files without Node': pure.files, 'files in all': whole.files },
  programs.flatMap(({ messages }) => messages),
);
