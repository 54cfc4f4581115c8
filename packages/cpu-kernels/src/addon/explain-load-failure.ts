/** Messages of systems for a file that was built for another processor or operating system. */
const OTHER_PLATFORM = [
  '.node: cannot open shared object file',
  'invalid ELF header',
  'wrong architecture',
  'incompatible architecture',
  'not a valid Win32',
];

/**
 * The reason why the addon could not be loaded, and what to do. `tried`: each path with the system's message.
 */
export function explainLoadFailure(tried: readonly { readonly path: string; readonly error: unknown }[]): {
  readonly reason: string;
  readonly nextStep: string;
} {
  const messages = tried.map(({ error }) => (error instanceof Error ? error.message : String(error)));
  const found = messages.filter(
    (message) => !/Cannot find module|MODULE_NOT_FOUND|ERR_MODULE_NOT_FOUND/.test(message),
  );
  if (!found.length) {
    return {
      reason:
        `no native addon for ${process.platform}-${process.arch} (looked at ` +
        `${tried.map(({ path }) => path).join(', ')})`,
      nextStep:
        'Build it with `node scripts/build-addon.mjs` in the package @qdylora/cpu-kernels (needs g++ or ' +
        'clang++), or use the host backend.',
    };
  }
  const text = found.join('; ');
  if (/GLIBC_|GLIBCXX_/.test(text))
    return {
      reason: `the addon was built for a newer system library (${text})`,
      nextStep: 'Rebuild it on this machine with `node scripts/build-addon.mjs --force`.',
    };
  // The loader passes over a file for another processor, and then says that it is not there.
  if (OTHER_PLATFORM.some((words) => text.includes(words)))
    return {
      reason: `the addon is for another platform than ${process.platform}-${process.arch} (${text})`,
      nextStep: 'Remove node_modules and install on this machine.',
    };
  return { reason: text, nextStep: 'Rebuild it with `node scripts/build-addon.mjs --force`.' };
}
