export {
  assertNewFolder,
  cleanOrphans,
  discardFolder,
  realFolder,
  writeFolderAtomically,
  type FillFolder,
  type CleanedOrphans,
  type CleanOrphansOptions,
  type WriteFolderOptions,
} from './folder/atomic-folder.ts';
export { assertCanCreate, createFolder } from './folder/create-folder.ts';
export type { FolderFiles } from './folder/folder-files.ts';
export type { Checkpoint, GenerationIds } from './checkpoint.ts';
export { configReader, type ConfigReader } from './config/config-reader.ts';
export { isCompanionFile } from './tokenizer/companion-file.ts';
export { TEMPLATE_FOLDER } from './tokenizer/folder-templates.ts';
export {
  createFileThread,
  type FileRead,
  type FileThread,
  type FileThreadOptions,
  type ReadFile,
  type WriteFile,
} from './thread/file-thread.ts';
export { fingerprintOf } from './fingerprint.ts';
export {
  DEFAULT_THETA,
  FAMILY_DEFAULTS,
  familyDefaultsOf,
  type FamilyDefaults,
} from './config/family-defaults.ts';
export { llama3Frequencies, type Llama3Rope } from './config/llama3-rope.ts';
export { hfConfigOf, readHfConfig, type CheckpointConfig } from './config/hf-config.ts';
export { transposedEntry } from './gguf/changed-entry.ts';
export {
  readGguf,
  type GgufFile,
  type GgufScalar,
  type GgufTensor,
  type GgufValue,
} from './gguf/file/read-gguf.ts';
export type { GgufWriteType } from './gguf/write/encode-values.ts';
export type { FloatValues } from './gguf/write/encoded-bytes.ts';
export { writeGgufAdapter, type GgufAdapter, type GgufAdapterLayer } from './gguf/write/write-adapter.ts';
export { writeGguf, type GgufTensorToWrite, type GgufToWrite } from './gguf/write/write-gguf.ts';
export { writeGgufModel, type GgufModel, type ModelTensor } from './gguf/write/write-model.ts';
export { fetchDataset } from './hub/fetch-dataset.ts';
export { fetchConfig, fetchModel } from './hub/fetch-model.ts';
export { isHubName, parseHubName, type HubName } from './hub/hub-name.ts';
export type { HubOptions, HubProgress } from './hub/hub-options.ts';
export {
  changedContent,
  manifestDamage,
  MANIFEST_FILE,
  validateFolder,
  type FileRecord,
  type FolderDamage,
  type FolderState,
  type Manifest,
} from './folder/manifest.ts';
export { openCheckpoint, type OpenCheckpointOptions } from './open-checkpoint.ts';
export type { PeftAdapterConfig } from './peft-adapter/config.ts';
export { isSameScale } from './peft-adapter/is-same-scale.ts';
export {
  ADAPTER_WEIGHTS_FILE,
  isPeftAdapter,
  openSavedWeights,
  readPeftAdapter,
  SIDECAR_FILE,
  type PeftAdapter,
  type PeftLayer,
} from './peft-adapter/read.ts';
export {
  writePeftAdapter,
  type PeftLayerToWrite,
  type WritePeftAdapterOptions,
} from './peft-adapter/write.ts';
export type { QuantizationConfig } from './config/quantization-config.ts';
export { outerRopeKeys, type RopeConfig } from './config/rope-config.ts';
export { memoryByteSource, openByteSource, type ByteSource } from './read/byte-source.ts';
export { openSafetensors, safetensorsOf, type SafetensorsFile } from './safetensors/open-safetensors.ts';
export { tensorFrom, tensorOf, type WritableArray } from './safetensors/tensor-of.ts';
export { PAGES_AROUND } from './read/page-reader.ts';
export {
  safetensorsPieces,
  streamSafetensors,
  writeSafetensors,
  type TensorToStream,
  type TensorToWrite,
  type WriteSafetensorsOptions,
} from './safetensors/write-file.ts';
export { cutByBytes } from './safetensors/cut-by-bytes.ts';
export { writeShards, type WriteShardsOptions } from './safetensors/write-shards.ts';
export type { TensorEntry } from './tensor-entry.ts';
export type { SpecialTokens, TokenizerFiles } from './tokenizer/tokenizer-files.ts';
export { canonicalJson } from './write/canonical-json.ts';
export { NODE_FILE_SYSTEM, type FileSystem } from './write/file-system.ts';
export { createHashedBlocks, PAGE_BYTES, type HashedBlocks, type WriteBlocks } from './write/write-blocks.ts';
export {
  deferredBytes,
  type FilePiece,
  type FilePieces,
  type ReadableBytes,
  type TensorBytes,
  type TensorSource,
} from './write/readable-bytes.ts';
export { isRunning } from './folder/is-running.ts';
export { writeFileDurably, writeFileUnsynced } from './write/write-file-durably.ts';
export { parseTemporaryName, type TemporaryName, temporaryName } from './write/temporary-name.ts';
export { writeFileAt } from './write/write-file-at.ts';
