import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryFolder } from '@qdylora/testing/node';
import { expect, it } from 'vitest';
import { errorOf } from '../test-support/error-of.ts';
import { readAdapterConfig } from './config.ts';
import { exclusionOf, type Exclusion } from './exclusion-of.ts';

const path = join(temporaryFolder(), 'adapter_config.json');
const Q = 'model.layers.0.self_attn.q_proj';
const V = 'model.layers.0.self_attn.v_proj';

function exclusions(fields: Record<string, unknown>): Exclusion[] {
  const config = { peft_type: 'LORA', target_modules: ['q_proj', 'v_proj'], ...fields };
  writeFileSync(path, JSON.stringify(config));
  return [Q, V].map(exclusionOf(path, readAdapterConfig(path)));
}

/** The fields that exclude q_proj and v_proj. */
const excludedBy = (fields: Record<string, unknown>): (string | null)[] =>
  exclusions(fields).map(({ field }) => field);

it.each([
  [{ target_modules: ['q_proj'] }, null, 'target_modules'],
  [{ target_modules: ['proj', V] }, 'target_modules', null],
  [{ target_modules: '.*q_proj' }, null, 'target_modules'],
  [{ exclude_modules: ['v_proj'] }, null, 'exclude_modules'],
  [{ exclude_modules: '.*\\.0\\..*' }, 'exclude_modules', 'exclude_modules'],
  [{ target_modules: 'All-Linear', exclude_modules: [Q] }, 'exclude_modules', null],
  [{ modules_to_save: ['self_attn'] }, 'modules_to_save', 'modules_to_save'],
  [{ layers_to_transform: [1] }, 'layers_to_transform', 'layers_to_transform'],
  [{ layers_to_transform: 1, target_modules: ['q_proj', V] }, 'layers_to_transform', null],
  [{ layers_to_transform: [0, 1], layers_pattern: 'h' }, 'layers_to_transform', 'layers_to_transform'],
  [{ layers_to_transform: [1], target_modules: null }, 'layers_to_transform', 'layers_to_transform'],
  [{ target_modules: '.*layers.(\\d).*(q_proj)|.*k_proj' }, null, 'target_modules'],
  [{ target_modules: '(?:.*?self_attn.*?q_proj.*?)|(?:.*?x.*?y.*?z.*?)' }, null, 'target_modules'],
  [{ target_modules: '(?i).*Q_PROJ' }, null, 'target_modules'],
  [{ target_modules: '\\A.*q_proj\\Z' }, null, 'target_modules'],
  [{ target_modules: '(model\\.layers\\.\\d+\\.)+.*q_proj' }, null, 'target_modules'],
  [{ target_modules: '(?!.*v_proj).*_proj' }, null, 'target_modules'],
  [{ exclude_modules: '(?i).*Q_PROJ' }, 'exclude_modules', null],
  [{ exclude_modules: '.*\\Z' }, 'exclude_modules', 'exclude_modules'],
  [{ modules_to_save: ['q_.*'] }, 'modules_to_save', null],
  [{ modules_to_save: ['(q'], exclude_modules: ['v_proj'] }, null, 'exclude_modules'],
])('a module that the config excludes is excluded by name of the field: %j', (fields, q, v) => {
  expect(excludedBy(fields)).toEqual([q, v]);
});

it.each([
  { target_modules: null },
  { target_modules: 'all-linear' },
  { target_modules: '.*_proj', exclude_modules: ['proj', 'q'] },
  { target_modules: '(?:.*?self_attn.*?q_proj.*?)|(?:.*?v_proj.*?)' },
  { exclude_modules: '', modules_to_save: ['attn'], layers_to_transform: [] },
  { layers_to_transform: [0, 1], layers_pattern: ['h', 'layers'] },
])('nothing is excluded by %j', (fields) => {
  expect(excludedBy(fields)).toEqual([null, null]);
});

it.each([
  [{ target_modules: '.*+q_proj' }, 'target_modules'],
  [{ target_modules: '(?s).*' }, 'target_modules'],
  [{ exclude_modules: '(q)\\1' }, 'exclude_modules'],
  [{ modules_to_save: ['lm_head', '(q'] }, 'modules_to_save'],
  [{ layers_to_transform: [0], layers_pattern: '(h' }, 'layers_to_transform'],
])('a field that is not read excludes nothing, and is reported: %j', (fields, field) => {
  const unread = { field: null, unreadFields: [field] };
  expect(exclusions(fields)).toEqual([unread, unread]);
});

it('a name of more characters than are matched is not known to be excluded', () => {
  writeFileSync(path, JSON.stringify({ peft_type: 'LORA', target_modules: '.*q_proj' }));
  const exclusion = exclusionOf(path, readAdapterConfig(path))(`${'a'.repeat(300)}.v_proj`);
  expect(exclusion).toEqual({ field: null, unreadFields: ['target_modules'] });
});

it('a field of the wrong type is BAD_CONFIG', () => {
  for (const fields of [{ layers_to_transform: ['0'] }, { exclude_modules: [1] }, { layers_pattern: 1 }])
    errorOf(() => excludedBy({ layers_to_transform: 0, ...fields }), 'BAD_CONFIG');
});
