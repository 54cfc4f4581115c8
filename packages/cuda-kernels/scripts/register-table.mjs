// Registers, spills and shared memory of each kernel, from the log of NVRTC (`--ptxas-options=-v`).

const number = (pattern, text) => Number(pattern.exec(text)?.[1] ?? 0);

/** `[{ kernel, registers, spillBytes, stackBytes, sharedBytes }]` of one log, by rising name. */
export function readResourceLog(log) {
  return log
    .split('Compiling entry function ')
    .slice(1)
    .map((part) => ({
      kernel: /'(\w+)'/.exec(part)[1],
      registers: number(/Used (\d+) registers/, part),
      spillBytes: number(/(\d+) bytes spill stores/, part) + number(/(\d+) bytes spill loads/, part),
      stackBytes: number(/(\d+) bytes stack frame/, part),
      sharedBytes: number(/(\d+) bytes smem/, part),
    }))
    .sort((a, b) => (a.kernel < b.kernel ? -1 : 1));
}

/** The table of all cubins as tab-separated lines: source, kernel, target and the columns above. */
export function formatRegisterTable(images) {
  const header = ['source', 'kernel', 'target', 'registers', 'spill bytes', 'stack bytes', 'shared bytes'];
  const rows = images
    .filter(({ target }) => target.startsWith('sm_'))
    .flatMap(({ source, target, log }) =>
      readResourceLog(log).map(({ kernel, registers, spillBytes, stackBytes, sharedBytes }) => [
        source,
        kernel,
        target,
        registers,
        spillBytes,
        stackBytes,
        sharedBytes,
      ]),
    );
  return [header, ...rows].map((row) => `${row.join('\t')}\n`).join('');
}
