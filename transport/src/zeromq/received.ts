/** The receiving half of a ZeroMQ socket. */
export interface FrameSource {
  readonly closed: boolean;
  receive(): Promise<Buffer[]>;
}

/**
 * The messages that a socket receives, until it is closed.
 *
 * ZeroMQ may announce a large message of an encrypted connection before it can be read. zeromq.js then rejects with
 * `EAGAIN`, though nothing is lost, and its own iterator ends with that error.
 */
export async function* received(socket: FrameSource): AsyncGenerator<Buffer[], void, void> {
  for (;;) {
    let frames: Buffer[] | undefined;
    try {
      frames = await socket.receive();
    } catch (error) {
      if (socket.closed) return;
      if (errorCode(error) !== 'EAGAIN') throw error;
    }
    if (frames !== undefined) yield frames;
  }
}

export function errorCode(error: unknown): unknown {
  return typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
}
