/**
 * Milliseconds of this process's own work since the call; unlike the clock on the wall, it does not grow when
 * the machine is busy with others.
 */
export function cpuStopwatch(): () => number {
  const start = process.cpuUsage();
  return () => {
    const { user, system } = process.cpuUsage(start);
    return (user + system) / 1000;
  };
}
