// What streaming a large file costs: writes one of so many megabytes, opens it, and reads shuffled batches in
// this process. The file goes away at the end.
//  node --conditions=source --import tsx packages/data/scripts/stream-large-file.mjs --megabytes 2048 --rows
// 20000
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { createBatches, openDataset } from '@qdylora/data';

const { values } = parseArgs({
  options: {
    megabytes: { type: 'string', default: '1024' },
    rows: { type: 'string', default: '10000' },
    folder: { type: 'string', default: tmpdir() },
    json: { type: 'boolean', default: false },
  },
});
const folder = mkdtempSync(join(values.folder, 'qdylora-large-'));
const file = join(folder, 'rows.jsonl');
const bytes = Number(values.megabytes) * 2 ** 20;
const wanted = Number(values.rows);
const peak = () => process.resourceUsage().maxRSS / 1024;

/** Rows of 20 … 220 numbers, some 700 bytes each: ids, so that no tokenizer is measured. */
function writeRows() {
  const out = openSync(file, 'w');
  let rows = 0;
  let written = 0;
  let text = '';
  while (written < bytes) {
    const length = 20 + ((rows * 7919) % 201);
    const ids = Array.from({ length }, (_, i) => (rows * 31 + i * 17) % 50000);
    text += `{"input_ids":[${ids.join(',')}],"id":${rows}}\n`;
    rows++;
    if (text.length > 2 ** 18) {
      written += writeSync(out, text);
      text = '';
    }
  }
  writeSync(out, text);
  closeSync(out);
  return rows;
}

try {
  const rows = writeRows();
  globalThis.gc?.();
  const startMegabytes = peak();
  let clock = performance.now();
  const dataset = await openDataset(file, { tokenizer: null, maxSeqLength: 256, heldOut: 0.001, seed: 7 });
  const openSeconds = (performance.now() - clock) / 1000;
  const batches = createBatches(dataset.training, {
    microBatchSize: 4,
    gradientAccumulationSteps: 2,
    shuffle: true,
    seed: 7,
    packing: false,
    maxSeqLength: 256,
  });
  clock = performance.now();
  let rowsRead = 0;
  let checksum = 0;
  for (let step = 0; rowsRead < wanted; step++) {
    for (const { ids, segments } of batches.batchAt(step)) {
      rowsRead += segments.length - 1;
      for (const id of ids) checksum = (Math.imul(checksum, 31) + id) >>> 0;
    }
  }
  const readSeconds = (performance.now() - clock) / 1000;
  const found = {
    rows,
    fileMegabytes: bytes / 2 ** 20,
    openSeconds,
    megabytesPerSecond: bytes / 2 ** 20 / openSeconds,
    startMegabytes,
    peakMegabytes: peak(),
    trainingRows: dataset.training.length,
    heldOutRows: dataset.heldOut.length,
    rowsRead,
    millisecondsPerRow: (1000 * readSeconds) / rowsRead,
    checksum: checksum.toString(16),
  };
  dataset.close();
  if (values.json) console.log(JSON.stringify(found));
  else
    for (const [name, value] of Object.entries(found))
      console.log(`${name.padEnd(20)} ${typeof value === 'number' ? Number(value.toFixed(2)) : value}`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
