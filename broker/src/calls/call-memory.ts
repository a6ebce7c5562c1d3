import { runtimeOf } from '@panal/protocol';
import { INLINE_BYTES, type VersionRecord } from '@panal/db';
import type { ActiveCall } from './active-call.js';
import { Tally } from './tally.js';

/** What a version takes in memory besides its texts, in bytes. */
const VERSION_BYTES = 2048;
/** A character may take two bytes. */
const CHARACTER_BYTES = 2;

/** The memory that calls which have not ended take for their long parameters, and for the versions that they use. */
export class CallMemory {
  readonly #budget: number;
  readonly #held = new Map<ActiveCall, number>();
  #params = 0;
  #versions = 0;
  readonly #versionsOf = new Tally();

  /** @param budget in bytes */
  constructor(budget: number) {
    this.#budget = budget;
  }

  /** Bytes of the versions in use. */
  get versions(): number {
    return this.#versions;
  }

  /** The same of one owner's. */
  versionsOf(owner: string): number {
    return this.#versionsOf.of(owner);
  }

  /** Whether the parameter may stay in memory; otherwise the call lets go of it once it is stored. */
  hold(call: ActiveCall): boolean {
    const size = call.record.params.byteLength;
    if (size <= INLINE_BYTES.params) return true;
    if (this.#params + this.#versions + size > this.#budget) return false;
    this.#held.set(call, size);
    this.#params += size;
    return true;
  }

  holds(call: ActiveCall): boolean {
    return this.#held.has(call);
  }

  release(call: ActiveCall): void {
    this.#params -= this.#held.get(call) ?? 0;
    this.#held.delete(call);
  }

  add(version: VersionRecord): void {
    this.#count(version, 1);
  }

  remove(version: VersionRecord): void {
    this.#count(version, -1);
  }

  #count(version: VersionRecord, sign: 1 | -1): void {
    const bytes = sign * memoryOf(version);
    this.#versions += bytes;
    this.#versionsOf.add(version.spec.owner, bytes);
  }
}

/** About how many bytes a version takes in memory. */
export function memoryOf({ spec, settings }: VersionRecord): number {
  let characters = 0;
  for (const env of [spec.settings.env, settings.env ?? {}]) {
    for (const [name, value] of Object.entries(env)) characters += name.length + value.length;
  }
  const runtime = runtimeOf(spec);
  if (runtime !== undefined) {
    const { path, run, dependencies = '', handler = '' } = runtime;
    characters += path.length + run.length + dependencies.length + handler.length;
  }
  return VERSION_BYTES + CHARACTER_BYTES * characters;
}

/** Bytes that a buffer may have besides its view. */
const SPARE_BYTES = 1024;

/** The bytes without the buffer that they are a small part of, say the packet that brought them: it would stay with them. */
export function withoutSlack(bytes: Uint8Array): Uint8Array {
  if (bytes.buffer.byteLength - bytes.byteLength <= SPARE_BYTES) return bytes;
  const copy = Buffer.allocUnsafeSlow(bytes.byteLength);
  copy.set(bytes);
  return copy;
}
