// A folder with Node's headers for node-gyp, without the network: Node's own, or the four of
// node-api-headers.
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';

const require = createRequire(import.meta.url);

/** True where `folder/include/node` fits this Node. */
function holdsHeaders(folder) {
  try {
    const include = join(folder, 'include', 'node');
    const major = /#define NODE_MAJOR_VERSION (\d+)/.exec(
      readFileSync(join(include, 'node_version.h'), 'utf8'),
    )[1];
    return (
      major === process.versions.node.split('.')[0] &&
      ['node_api.h', 'common.gypi'].every((file) => existsSync(join(include, file)))
    );
  } catch {
    return false;
  }
}

/** Node-API is stable across versions, so its four C headers and a minimal common.gypi are enough. */
function writeNodeApiHeaders(buildFolder) {
  const { include_dir } = require('node-api-headers');
  const folder = join(buildFolder, 'headers');
  const include = join(folder, 'include', 'node');
  mkdirSync(include, { recursive: true });
  for (const file of readdirSync(include_dir)) copyFileSync(join(include_dir, file), join(include, file));
  writeFileSync(
    join(include, 'common.gypi'),
    `{ 'target_defaults': { 'default_configuration': 'Release',
  'configurations': { 'Release': { 'cflags': ['-O3'] }, 'Debug': { 'cflags': ['-g', '-O0'] } },
  'conditions': [ ['OS!="win"', { 'cflags': ['-fPIC', '-pthread'], 'ldflags': ['-pthread'] }],
    ['OS=="mac"', { 'xcode_settings': { 'OTHER_LDFLAGS': ['-undefined dynamic_lookup'] } }] ] } }\n`,
  );
  return folder;
}

export function findNodeHeaders(env, buildFolder) {
  const configured = env.npm_package_config_node_gyp_nodedir || env.npm_config_nodedir;
  const beside = [resolve(realpathSync(process.execPath), '..', '..'), process.config.variables.node_prefix];
  return (
    configured || beside.find((folder) => folder && holdsHeaders(folder)) || writeNodeApiHeaders(buildFolder)
  );
}
