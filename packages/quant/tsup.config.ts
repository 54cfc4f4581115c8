import { defineConfig } from 'tsup';
import { buildFiles } from '../../tsup.base.ts';

export default defineConfig(buildFiles());
