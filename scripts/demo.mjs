// `npm run demo`: builds what the command needs, fine-tunes the embedded base at every rank at once and
// writes the report. Arguments go to `qdylora train`.
import { spawn } from 'node:child_process';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { root, runCommand } from './run-command.mjs';
import { setUp } from './set-up.mjs';

const OUTPUT = 'runs/demo';

/** The folder that arguments of `train` name; by default that of the demo. */
function outputFolder(words) {
  const at = words.findLastIndex((word) => /^--output-dir(=|$)/.test(word));
  if (at < 0) return OUTPUT;
  return words[at].includes('=') ? words[at].slice('--output-dir='.length) : words[at + 1];
}

async function main() {
  await setUp({ forRunning: true });
  const words = process.argv.slice(2);
  const folder = outputFolder(words);
  if (folder === OUTPUT) rmSync(join(root, OUTPUT), { recursive: true, force: true }); // the last demo's
  console.log(`
[demo] One run trains LoRA adapters of rank 1, 2, 4 … 64 at the same time. The base is a small model that
[demo] qdylora pretrained on speeches and a novel, frozen in 4 bits. It learns word problems (GSM8K).
[demo] The settings are in examples/demo/run.yaml: npx qdylora train examples/demo/run.yaml
`);
  const start = performance.now();
  const { status } = runCommand(process.execPath, [
    'packages/qdylora/bin/qdylora.js',
    'train',
    'examples/demo/run.yaml',
    ...words,
  ]);
  if (status !== 0) return status;
  sayWhatCameOut(folder, (performance.now() - start) / 1000);
  return 0;
}

function sayWhatCameOut(folder, seconds) {
  const report = resolve(root, folder, 'report.html');
  if (!existsSync(report)) return; // --dry-run, or --help
  const { best_rank: bestRank, smallest_good_rank: smallestGoodRank } = JSON.parse(
    readFileSync(resolve(root, folder, 'report.json'), 'utf8'),
  );
  const question = 'Tom has 3 apples and buys 4 more. How many does he have?';
  const generate =
    `npx qdylora generate --model packages/embedded-base/model --adapter ${folder}/adapter ` +
    `--rank ${smallestGoodRank ?? bestRank} --prompt "${question}"`;
  const smallest =
    smallestGoodRank === null ? '' : `; smallest that is not significantly worse: ${smallestGoodRank}`;
  console.log(`
[demo] trained in ${seconds.toFixed(0)} s.
[demo] report:    ${report}
[demo] best rank: ${bestRank}${smallest}
[demo] next:      ${generate}`);
  openOnDesktop(report);
}

/** Only where someone sits before a screen; a program or a server is left alone. */
function openOnDesktop(report) {
  const isInteractive =
    process.stdout.isTTY && process.stdin.isTTY && !process.env.CI && !process.env.SSH_CONNECTION;
  const opener =
    process.platform === 'darwin'
      ? 'open'
      : process.env.DISPLAY || process.env.WAYLAND_DISPLAY
        ? 'xdg-open'
        : null;
  if (!isInteractive || !opener || !existsSync(report)) return;
  spawn(opener, [report], { detached: true, stdio: 'ignore' })
    .on('error', () => {
      /* no such program: the path is printed above */
    })
    .unref();
}

process.exitCode = await main();
