// Writes proof.tsv: `npm run proof` in packages/cuda-kernels. A test compares the two.
import { writeFileSync } from 'node:fs';
import { proofTable } from './proof-table.ts';

writeFileSync(new URL('proof.tsv', import.meta.url), proofTable());
