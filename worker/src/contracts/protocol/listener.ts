import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';

/** A unix socket that waits for the one process which may connect. */
export interface Listener {
  /** Path of the socket. */
  readonly path: string;
  /** The connection; from then on the socket is closed to others, and its file is gone. Rejects on `close`. */
  readonly connection: Promise<Socket>;
  /** Stops listening. A connection that was made stays. May be called twice. */
  close(): Promise<void>;
}

/** Name of the socket in its folder. */
export const SOCKET_NAME = 'socket';
/** Longest path that fits a `sockaddr_un` with its NUL, on Linux. */
export const MAX_SOCKET_PATH = 107;

/** Listens in `folder`, where no socket may be yet. Every user may connect: the folder is what guards it. */
export async function listenIn(folder: string): Promise<Listener> {
  const path = join(folder, SOCKET_NAME);
  // A longer path does not fit the kernel's structure; one through an open folder always does.
  const handle =
    Buffer.byteLength(path) > MAX_SOCKET_PATH
      ? await open(folder, constants.O_RDONLY | constants.O_DIRECTORY)
      : undefined;
  const bound = handle === undefined ? path : `/proc/self/fd/${handle.fd}/${SOCKET_NAME}`;
  const server = createServer();
  try {
    await listening(server, bound);
  } catch (error) {
    await handle?.close();
    throw error;
  }
  return accepting(path, server, handle);
}

function listening(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ path, readableAll: true, writableAll: true }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

function accepting(path: string, server: Server, handle: FileHandle | undefined): Listener {
  let closing: Promise<void> | undefined;
  // Closing a server removes the file of its socket at once; its callback waits for connections, which may live on.
  const close = (): Promise<void> => {
    closing ??= (async () => {
      server.close();
      await handle?.close();
    })();
    return closing;
  };
  const connection = new Promise<Socket>((resolve, reject) => {
    server.once('connection', (socket) => {
      resolve(socket);
      close().catch(reject);
    });
    server.once('error', reject);
    server.once('close', () => reject(new Error('nothing connected before the listener was closed')));
  });
  // Whoever closes early may never look at the connection.
  connection.catch(() => undefined);
  return { path, connection, close };
}
