import { QdyloraError } from '@qdylora/contract';
import type { Checkpoint } from '../checkpoint.ts';

export function openGgufCheckpoint(path: string): Checkpoint {
  throw new QdyloraError('UNSUPPORTED', { where: 'gguf', problem: `${path}: coming` });
}
