// The one place where the site reaches into the sources of the app: what its generated pages and its
// interactive
// parts need and `qdylora` does not export.
export { createProgram } from '../packages/qdylora/src/cli/main.ts';
export { defaultText, KEY_GROUPS, type Key } from '../packages/qdylora/src/config/key.ts';
export { KEY_NAMES, KEYS } from '../packages/qdylora/src/config/keys.ts';
export { FOREIGN_NAMES } from '../packages/qdylora/src/config/names/foreign-names.ts';
export { byteSizeText } from '../packages/qdylora/src/config/values/byte-size.ts';
export { kebabCase } from '../packages/qdylora/src/config/names/names.ts';
export { eventLineJsonSchema } from '../packages/qdylora/src/recipes/run-folder/event-line.ts';
export { rankChart } from '../packages/qdylora/src/report/charts/rank-chart.ts';
export { readRanks } from '../packages/qdylora/src/report/read-ranks.ts';
export { CHART_STYLE, REPORT_COLOURS } from '../packages/qdylora/src/report/report-style.ts';
