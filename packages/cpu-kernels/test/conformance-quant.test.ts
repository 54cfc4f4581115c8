import * as owner from '@qdylora/quant';
import { opsOf } from '@qdylora/contract';
import { testConformance } from './test-conformance.ts';

await testConformance(opsOf(owner));
