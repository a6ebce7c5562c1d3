import { Duplex } from 'node:stream';
import type { Container } from 'dockerode';
import { isGone, statusOf } from './errors.js';

/** Which streams of a container to attach. */
export interface Attached {
  stdin?: boolean;
  stdout?: boolean;
  stderr?: boolean;
}

/**
 * Attaches a container's streams, before it starts, so that nothing is missed. Ending the stream ends the container's
 * stdin and no more: the connection is upgraded to a plain one, which can be closed on one side.
 */
export async function attach(container: Container, streams: Attached): Promise<Duplex> {
  return asDuplex(await container.attach({ stream: true, hijack: true, ...streams }));
}

/** An upgraded connection is a socket, whatever its type says. */
export function asDuplex(stream: NodeJS.ReadWriteStream): Duplex {
  if (stream instanceof Duplex) return stream;
  throw new TypeError('the engine did not upgrade the connection');
}

/** Waits until a container is not running, and gives its exit code: 128 + the signal's number where one ended it. */
export async function exitCodeOf(container: Container, abortSignal?: AbortSignal): Promise<number> {
  const answer: unknown = await container.wait(abortSignal === undefined ? {} : { abortSignal });
  if (typeof answer === 'object' && answer !== null && 'StatusCode' in answer) {
    if (typeof answer.StatusCode === 'number') return answer.StatusCode;
  }
  throw new TypeError('the engine gave no exit code');
}

/**
 * Kills a container and removes it with its anonymous volumes; one that is gone is fine. Where the engine fails, it is
 * asked once more: what it still writes of a container that just ended may be in its own way ("directory not empty").
 */
export async function removeContainer(container: Container): Promise<void> {
  try {
    await remove(container).catch((error: unknown) => {
      if (statusOf(error) !== 500) throw error;
      return remove(container);
    });
  } catch (error) {
    if (!isGone(error)) throw error;
  }
}

async function remove(container: Container): Promise<void> {
  await container.remove({ force: true, v: true });
}
