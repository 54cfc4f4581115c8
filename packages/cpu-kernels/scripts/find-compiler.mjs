import { spawnSync } from 'node:child_process';

/**
 * The C++ compiler's command (CXX, else the first of three that is there), or undefined. It may have words of
 * its own: `ccache g++`.
 */
export const findCompiler = (env) =>
  env.CXX || COMPILERS.find((name) => spawnSync(name, ['--version']).status === 0);

/** The first line of what the compiler says of its version; of `ccache g++`, that of g++. */
export function compilerVersion(compiler) {
  const [command, ...words] = compiler.split(/\s+/);
  return spawnSync(command, [...words, '--version'], { encoding: 'utf8' }).stdout.split('\n')[0];
}

/** What is tried where CXX is not set. */
export const COMPILERS = ['g++', 'c++', 'clang++'];
