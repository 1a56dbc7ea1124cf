/**
 * Reads a folder of .proto files into facts: for each thing that the files define, its full name and one line that says
 * all there is to say of it. Two folders hold the same contract if their facts are equal. Comments, formatting and the
 * order of things are no facts.
 */
import { existsSync, readdirSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fromBinary } from '@bufbuild/protobuf';
import { type FileDescriptorProto, FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { buf } from './buf.ts';
import { fileFacts } from './facts.ts';

/** Full name of a thing → what it is. */
export type Facts = Map<string, string>;

/** The other copy cannot be read; the message says what to do. */
export class Unreadable extends Error {}

const CONTRACT = 'vpn/v1';

function isDirectory(path: string): boolean {
  return existsSync(path) && statSync(path).isDirectory();
}

/** The folder that imports are relative to: a checkout's `proto/`, or `path` itself. */
export function protoFolder(path: string): string {
  const candidates = [join(path, 'proto'), path].map((candidate) => resolve(candidate));
  const found = candidates.find((candidate) => isDirectory(join(candidate, CONTRACT)));
  if (found !== undefined) return found;
  if (!isDirectory(path))
    throw new Unreadable(`${path} is not a folder; give the path of the other checkout`);
  const cure = `give a checkout that contains proto/${CONTRACT}, or the folder that contains ${CONTRACT}`;
  throw new Unreadable(`${path} has no proto/${CONTRACT} and no ${CONTRACT}; ${cure}`);
}

/** Folders below `root` that hold .proto files, relative to it. */
export function packageFolders(root: string): string[] {
  const files = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((file) =>
    file.endsWith('.proto'),
  );
  return [...new Set(files.map((file) => dirname(file)))].sort();
}

function build(root: string, folders: readonly string[]): FileDescriptorProto[] {
  const paths = folders.map((folder) => join(root, folder)).filter(isDirectory);
  const result = buf(
    'build',
    root,
    // Not the folder's own buf.yaml: it may ask for modules from the network.
    '--config={"version":"v2"}',
    '--exclude-source-info',
    '--as-file-descriptor-set',
    '--exclude-imports',
    ...paths.map((path) => `--path=${path}`),
    '--output=-#format=binpb',
  );
  if (result.status !== 0) throw new Unreadable(`buf cannot build ${root}:\n${result.stderr}`);
  return fromBinary(FileDescriptorSetSchema, result.stdout).file;
}

/** The facts of `folders` below `root`. Throws `Unreadable`. */
export function readFacts(root: string, folders: readonly string[]): Facts {
  return new Map(build(root, folders).flatMap((file) => fileFacts(file)));
}
