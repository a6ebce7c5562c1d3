import type Docker from 'dockerode';
import type { CallError } from '@panal/protocol';
import { LABEL } from './labels.js';

/** How long the engine may take to tell of an out-of-memory kill that has happened. */
const TELL_MS = 300;
/** Pause before the engine is asked again, after it went away. */
const RETRY_MS = 1000;

interface ContainerEvent {
  name: string;
  /** `oom`, or `die`. */
  what: string;
}

/**
 * Follows what befalls the containers of one worker: that the kernel killed a process of theirs for want of memory, and
 * that they ended. One request to the engine for all of them, so that no call needs any.
 */
export class Watch {
  /** Called when the engine is back after it went away. */
  onReturn: (() => void) | undefined;
  readonly #docker: Docker;
  readonly #workerId: string;
  readonly #abort = new AbortController();
  readonly #followed = new Map<string, Followed>();
  #retry: NodeJS.Timeout | undefined;
  #listening = false;

  constructor(docker: Docker, workerId: string) {
    this.#docker = docker;
    this.#workerId = workerId;
  }

  /** Resolves when the engine listens: what happens from then on is seen. */
  async open(): Promise<void> {
    const stream = await this.#docker.getEvents({
      filters: {
        type: ['container'],
        event: ['oom', 'die'],
        label: [`${LABEL.worker}=${this.#workerId}`],
      },
      abortSignal: this.#abort.signal,
    });
    this.#listening = true;
    let rest = '';
    stream.setEncoding('utf8');
    stream.on('data', (chunk: string) => {
      const lines = (rest + chunk).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) this.#onEvent(parse(line));
    });
    stream.on('error', () => undefined);
    stream.on('close', () => this.#reopen());
  }

  /** Whether the engine is there, as far as is known. */
  get listening(): boolean {
    return this.#listening;
  }

  close(): void {
    clearTimeout(this.#retry);
    this.#abort.abort();
  }

  /** Watches the container of this name, which may be yet to come, until it is released. */
  follow(name: string): Followed {
    const followed = new Followed(() => this.#followed.delete(name));
    this.#followed.set(name, followed);
    return followed;
  }

  /** Says why the container of this name is about to be killed. */
  blame(name: string, why: CallError): void {
    this.#followed.get(name)?.blame(why);
  }

  #onEvent(event: ContainerEvent | undefined): void {
    if (event !== undefined) this.#followed.get(event.name)?.tell(event.what);
  }

  #reopen(): void {
    this.#listening = false;
    if (this.#abort.signal.aborted) return;
    this.#retry = setTimeout(() => {
      this.open().then(
        () => this.onReturn?.(),
        () => this.#reopen(),
      );
    }, RETRY_MS);
    this.#retry.unref();
  }
}

/** What is known of one container. */
export class Followed {
  /** Ends the watch. */
  readonly release: () => void;
  /** Called when the container ends. */
  onDeath: (() => void) | undefined;
  #outOfMemory = false;
  #killedFor: CallError | undefined;
  #wake: (() => void) | undefined;

  constructor(release: () => void) {
    this.release = release;
  }

  tell(what: string): void {
    if (what === 'oom') {
      this.#outOfMemory = true;
      this.#wake?.();
    } else {
      this.onDeath?.();
    }
  }

  /** Panal itself is about to kill the container, for `why`. */
  blame(why: CallError): void {
    this.#killedFor = why;
  }

  /** Forgets what befell earlier calls. */
  beginCall(): void {
    this.#outOfMemory = false;
  }

  /**
   * Why a process of the container was killed, as far as the engine knows; asked right after the kill, of which it may
   * tell a moment later.
   * @param setting the one that the memory is limited by
   */
  async explain(memoryMb: number, setting = 'memoryMb of the function'): Promise<CallError | undefined> {
    if (this.#killedFor !== undefined) return this.#killedFor;
    if (!this.#outOfMemory) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, TELL_MS);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    if (!this.#outOfMemory) return undefined;
    return {
      code: 'OUT_OF_MEMORY',
      message: `took more than ${memoryMb} MiB of memory (${setting})`,
    };
  }
}

function parse(line: string): ContainerEvent | undefined {
  if (line === '') return undefined;
  const value: unknown = JSON.parse(line);
  if (typeof value !== 'object' || value === null || !('Action' in value) || !('Actor' in value))
    return undefined;
  const { Action: what, Actor: actor } = value;
  const name = nameOf(actor);
  return name !== undefined && typeof what === 'string' ? { name, what } : undefined;
}

function nameOf(actor: unknown): string | undefined {
  if (typeof actor !== 'object' || actor === null || !('Attributes' in actor)) return undefined;
  const { Attributes: attributes } = actor;
  if (typeof attributes !== 'object' || attributes === null || !('name' in attributes)) return undefined;
  return typeof attributes.name === 'string' ? attributes.name : undefined;
}
