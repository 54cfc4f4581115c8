// How every check script ends: what it looked at, what is wrong, and the exit status.

/**
 * Prints the counts and the problems; a check that looked at nothing has failed. `counts` is like `{ files:
 * 312, functions: 1804 }`.
 */
export function reportCheck(name, counts, problems) {
  const looked = Object.entries(counts)
    .map(([what, count]) => `${count} ${what}`)
    .join(', ');
  const empty = Object.entries(counts)
    .filter(([, count]) => count === 0)
    .map(([what]) => `looked at no ${what}: the check itself is broken`);
  const wrong = [...empty, ...problems];
  for (const problem of wrong) console.log(`  ${problem}`);
  const verdict =
    wrong.length === 0 ? 'no problems' : `${wrong.length} problem${wrong.length > 1 ? 's' : ''}`;
  console.log(`${name}: looked at ${looked}: ${verdict}.`);
  if (wrong.length > 0) process.exitCode = 1;
}
