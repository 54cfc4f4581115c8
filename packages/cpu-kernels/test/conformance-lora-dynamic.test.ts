import * as owner from '@qdylora/lora-dynamic';
import { opsOf } from '@qdylora/testing';
import { testConformance } from './test-conformance.ts';

await testConformance(opsOf(owner));
