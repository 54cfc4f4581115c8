// Runs programs without a terminal on standard input, so that nothing can stop to ask.
import { spawn, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('..', import.meta.url));

/** Its exit status; the output goes to ours, or is kept in `stdout` with `quiet`. */
export function runCommand(command, args, { cwd = root, quiet = false, env = {} } = {}) {
  const result = spawnSync(command, args, {
    cwd,
    encoding: 'utf8',
    stdio: ['ignore', quiet ? 'pipe' : 'inherit', quiet ? 'pipe' : 'inherit'],
    env: { ...process.env, ...env },
    maxBuffer: 2 ** 28,
  });
  if (result.error) throw result.error;
  return { status: result.status ?? 1, stdout: result.stdout ?? '', stderr: result.stderr ?? '' };
}

/** Starts one program beside others. Resolves at its end to its exit status and all that it printed. */
export function startCommand(command, args, { cwd = root, env = {} } = {}) {
  const child = spawn(command, args, {
    cwd,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  });
  const chunks = [];
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => chunks.push(chunk));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (status) => resolve({ status: status ?? 1, output: Buffer.concat(chunks).toString() }));
  });
}

/**
 * The command of the pnpm that package.json names, to the patch; npx fetches it once and puts it on the PATH
 * of what it starts (turbo needs that).
 */
export function pnpmCommand(args) {
  const { packageManager } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
  return [process.platform === 'win32' ? 'npx.cmd' : 'npx', ['-y', packageManager, ...args]];
}

/** Runs that pnpm, as `runCommand` does. */
export const runPnpm = (args, options = {}) => runCommand(...pnpmCommand(args), options);
