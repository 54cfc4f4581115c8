/** True where a process of this machine has that number, also where it is somebody else's. */
export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as { code?: string }).code !== 'ESRCH'; // EPERM: somebody else's, but alive
  }
}
