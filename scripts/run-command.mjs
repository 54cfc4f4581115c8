// Runs one program to its end without a terminal on standard input, so that nothing can stop to ask.
import { spawnSync } from 'node:child_process';
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

/**
 * The pnpm that package.json names, to the patch; npx fetches it once and puts it on the PATH of what it
 * starts (turbo needs that).
 */
export function runPnpm(args, options = {}) {
  const { packageManager } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
  return runCommand(
    process.platform === 'win32' ? 'npx.cmd' : 'npx',
    ['-y', packageManager, ...args],
    options,
  );
}
