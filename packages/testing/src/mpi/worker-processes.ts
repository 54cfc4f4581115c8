import { readdirSync, readFileSync } from 'node:fs';

/** A worker of a run: its process, and its number where a launcher gave it one. */
export interface WorkerProcess {
  readonly pid: number;
  readonly rank: number | null;
}

/** The running processes whose command line has this text (Linux); those of a run by its output folder. */
export function workerProcesses(text: string): WorkerProcess[] {
  return readdirSync('/proc').flatMap((name) => {
    if (!/^\d+$/.test(name) || !contentOf(name, 'cmdline').includes(text)) return [];
    const [, , rank] = RANK.exec(contentOf(name, 'environ')) ?? [];
    return [{ pid: Number(name), rank: rank === undefined ? null : Number(rank) }];
  });
}

const RANK = /(^|\0)(?:OMPI_COMM_WORLD_RANK|PMI_RANK)=(\d+)\0/;

function contentOf(pid: string, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'latin1');
  } catch {
    return ''; // it has ended, or belongs to somebody else
  }
}
