import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';

/** What went through one connection. */
export interface Tape {
  fromClient: Buffer[];
  fromServer: Buffer[];
}

/** Stands between a client and a server, and keeps what they say to each other. */
export class Relay {
  readonly tapes: Tape[] = [];
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(host: string, port: number) {
    this.#server = createServer((client) => this.#join(client, connect(port, host)));
  }

  /** Passes what comes to `port` of `from` on to the same port of `to`. */
  static async open({ from, to, port }: { from: string; to: string; port: number }): Promise<Relay> {
    const relay = new Relay(to, port);
    relay.#server.listen(port, from);
    await once(relay.#server, 'listening');
    return relay;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #join(client: Socket, server: Socket): void {
    const tape: Tape = { fromClient: [], fromServer: [] };
    this.tapes.push(tape);
    for (const [from, to, kept] of [
      [client, server, tape.fromClient],
      [server, client, tape.fromServer],
    ] as const) {
      this.#sockets.add(from);
      from.on('data', (bytes: Buffer) => kept.push(bytes));
      from.on('error', () => to.destroy());
      from.on('close', () => this.#sockets.delete(from));
      from.pipe(to);
    }
  }
}
