import * as owner from '@qdylora/lora-dynamic';
import { opsOf } from '@qdylora/contract';
import { testConformance } from './test-conformance.ts';

await testConformance(opsOf(owner));
