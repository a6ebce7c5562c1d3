import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';

const ANSWER = 0x8180;
const TYPE_A = 1;
const CLASS_IN = 1;

/** A DNS server (RFC 1035) that gives one IPv4 address, which may change, for every name. */
export class DnsServer {
  /** How often it was asked. */
  asked = 0;
  address: string;
  readonly #socket: Socket;

  private constructor(address: string) {
    this.address = address;
    this.#socket = createSocket('udp4', (query, peer) => {
      this.asked++;
      this.#socket.send(this.#answer(query), peer.port, peer.address);
    });
  }

  static async start(address: string): Promise<DnsServer> {
    const server = new DnsServer(address);
    server.#socket.bind(0, '127.0.0.1');
    await once(server.#socket, 'listening');
    return server;
  }

  get port(): number {
    return this.#socket.address().port;
  }

  stop(): void {
    this.#socket.close();
  }

  #answer(query: Buffer): Buffer {
    const head = Buffer.alloc(12);
    query.copy(head, 0, 0, 2);
    head.writeUInt16BE(ANSWER, 2);
    head.writeUInt16BE(1, 4);
    head.writeUInt16BE(1, 6);
    // The question is repeated, and the answer points to its name.
    const question = query.subarray(12);
    const record = Buffer.alloc(16);
    record.writeUInt16BE(0xc00c, 0);
    record.writeUInt16BE(TYPE_A, 2);
    record.writeUInt16BE(CLASS_IN, 4);
    record.writeUInt32BE(600, 6);
    record.writeUInt16BE(4, 10);
    Buffer.from(this.address.split('.').map(Number)).copy(record, 12);
    return Buffer.concat([head, question, record]);
  }
}
