import * as owner from '@qdylora/tensor';
import { opsOf } from '@qdylora/testing';
import { testConformance } from './test-conformance.ts';

await testConformance(opsOf(owner));
