import { randomUUID } from 'node:crypto';
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { temporaryFolder } from '@qdylora/testing/node';
import { docsFolder } from './read-pages.ts';

const root = join(docsFolder, '..');

/**
 * The model that stands in for those that pages download: their names are in the cache of the hub, which is
 * offline.
 */
const STAND_IN = join(root, 'packages/embedded-base/model');
const HUB_NAMES = ['HuggingFaceTB/SmolLM2-135M-Instruct'];
const REVISION = '0123456789abcdef0123456789abcdef01234567';

/** The address of servers on the pages. Servers of a test listen at a port that is free. */
const ADDRESS_OF_PAGES = '127.0.0.1:8080';

/**
 * Threads that wait for a processor make these small runs many times slower beside other tests. Results do
 * not depend on their number.
 */
const ONE_THREAD =
  'case "$1" in train|eval|ranks|tune|finish|generate|serve) set -- "$@" --num-threads 1;; esac';

export interface Ended {
  readonly status: number | null;
  readonly text: string;
}

/**
 * A folder as the pages assume it: a checkout after `npm run demo`, with rows of one's own. It goes away with
 * the test file.
 */
export class Checkout {
  readonly folder = temporaryFolder();
  private server: { readonly child: ChildProcess; readonly address: string } | null = null;

  constructor() {
    const { folder } = this;
    for (const name of ['packages', 'examples']) symlinkSync(join(root, name), join(folder, name));
    symlinkSync(join(docsFolder, 'node_modules'), join(folder, 'node_modules'));
    mkdirSync(join(folder, 'runs/demo'), { recursive: true });
    symlinkSync(join(docsFolder, 'public/demo/adapter'), join(folder, 'runs/demo/adapter'));
    const rows = readFileSync(join(root, 'examples/demo/gsm8k-train.jsonl'), 'utf8').split('\n').slice(0, 40);
    writeFileSync(join(folder, 'rows.jsonl'), `${rows.join('\n')}\n`);
    for (const name of HUB_NAMES) {
      const model = join(folder, 'hub/hub', `models--${name.replace('/', '--')}`);
      mkdirSync(join(model, 'refs'), { recursive: true });
      writeFileSync(join(model, 'refs/main'), REVISION);
      cpSync(STAND_IN, join(model, 'snapshots', REVISION), { recursive: true });
    }
    mkdirSync(join(folder, 'bin'));
    const command = join(root, 'packages/qdylora/bin/qdylora.js');
    writeFileSync(
      join(folder, 'bin/npx'),
      ['#!/bin/sh', 'shift', ONE_THREAD, `exec "${process.execPath}" "${command}" "$@"`, ''].join('\n'),
    );
    chmodSync(join(folder, 'bin/npx'), 0o755);
  }

  /** Runs the lines of a shell block. */
  runShell(text: string): Ended {
    return this.run('sh', ['-ec', this.withAddress(text)]);
  }

  /** Runs a TypeScript block as a program. */
  runProgram(text: string): Ended {
    writeFileSync(join(this.folder, 'program.mts'), this.withAddress(text));
    const loader = join(root, 'node_modules/tsx/dist/esm/index.mjs');
    return this.run(process.execPath, ['--import', loader, 'program.mts']);
  }

  /** True where the blocks of a language find the program, or Python 3 the modules. */
  isInstalled(needed: string, language: string): boolean {
    const { status } =
      language === 'python' ? this.runPython(`import ${needed}`) : this.runShell(`command -v ${needed}`);
    return status === 0;
  }

  /** Runs a Python block. */
  runPython(text: string): Ended {
    return this.run('python3', ['-c', text]);
  }

  /**
   * Starts the server of a block, which the blocks after it talk to, in place of the one before. Resolves
   * with what it printed.
   */
  async startServer(text: string): Promise<string> {
    this.stopServer();
    const words = ['-ec', `exec ${text.trim()} --port 0`];
    const child = spawn('sh', words, { cwd: this.folder, env: this.environment() });
    let printed = '';
    await new Promise<void>((resolve, reject) => {
      const read = (data: Buffer): void => {
        printed += data.toString();
        if (/^http:.*\n/m.test(printed)) resolve();
      };
      child.stdout.on('data', read);
      child.stderr.on('data', read);
      child.on('exit', (status) => reject(new Error(`The server ended with ${status}: ${printed}`)));
    });
    this.server = { child, address: /^http:\/\/([^/\n]+)/m.exec(printed)![1] };
    return printed;
  }

  stopServer(): void {
    this.server?.child.kill();
    this.server = null;
  }

  private withAddress(text: string): string {
    return text.replaceAll(ADDRESS_OF_PAGES, this.server?.address ?? ADDRESS_OF_PAGES);
  }

  private run(command: string, args: readonly string[]): Ended {
    const { folder: cwd } = this;
    const { status, stdout, stderr } = spawnSync(command, args, {
      cwd,
      encoding: 'utf8',
      env: this.environment(),
    });
    return { status, text: `${stdout}${stderr}` };
  }

  private environment(): NodeJS.ProcessEnv {
    return {
      ...process.env,
      PATH: `${join(this.folder, 'bin')}:${process.env.PATH}:${dirname(process.execPath)}`,
      HF_HOME: join(this.folder, 'hub'),
      HF_HUB_OFFLINE: '1',
      NO_COLOR: '1',
      // of a server that other machines may reach
      KEY: randomUUID(),
    };
  }
}
