import * as owner from '@qdylora/tensor';
import { opsOf } from '@qdylora/contract';
import { testConformance } from './test-conformance.ts';

await testConformance(opsOf(owner));
