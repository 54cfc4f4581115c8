// Writes roofline.tsv: `npm run roofline` in packages/cuda-kernels. A test compares the two.
import { writeFileSync } from 'node:fs';
import { rooflineTable } from './roofline.ts';

writeFileSync(new URL('roofline.tsv', import.meta.url), rooflineTable());
