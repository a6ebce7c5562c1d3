import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { Channel, type ChannelOptions } from '../../worker/src/contracts/protocol/channel.js';
import { FRAME, FrameParser } from '../../worker/src/contracts/protocol/frames.js';
import { listenIn } from '../../worker/src/contracts/protocol/listener.js';
import { eventually } from '../../testkit/wait.js';

/** A frame as a process would write it. */
export function frame(type: number, payload: string | Uint8Array = ''): Buffer {
  const body = Buffer.from(payload);
  const head = Buffer.alloc(5);
  head.writeUInt32BE(body.length + 1);
  head.writeUInt8(type, 4);
  return Buffer.concat([head, body]);
}

/** A DONE frame. */
export function done(code: number, reason = 0, text = ''): Buffer {
  const head = Buffer.alloc(5);
  head.writeInt32BE(code);
  head.writeUInt8(reason, 4);
  return frame(FRAME.DONE, Buffer.concat([head, Buffer.from(text)]));
}

/** The process's end of a channel, which does what the test tells it. */
export class Peer {
  readonly socket: Socket;
  readonly channel: Channel;
  readonly received: { type: number; payload: Buffer }[] = [];

  private constructor(socket: Socket, channel: Channel) {
    this.socket = socket;
    this.channel = channel;
    const parser = new FrameParser((type, payload) => this.received.push({ type, payload }));
    socket.on('data', (chunk: Buffer) => parser.push(chunk));
    socket.on('error', () => undefined);
  }

  static async connect(folder: string, options: ChannelOptions = {}): Promise<Peer> {
    const listener = await listenIn(folder);
    const socket = connect(listener.path);
    await once(socket, 'connect');
    return new Peer(socket, new Channel(await listener.connection, options));
  }

  /** Says READY, and waits until the channel knows. */
  async ready(kind: 'agent' | 'handler'): Promise<void> {
    this.send(frame(FRAME.READY, JSON.stringify({ protocol: 1, kind })));
    await this.channel.ready(5000);
  }

  send(...frames: Buffer[]): void {
    this.socket.write(Buffer.concat(frames));
  }

  /** Waits until so many frames of `type` came. */
  async got(type: number, count = 1): Promise<void> {
    await eventually(`${count} frames of type ${type}`, () => this.count(type) >= count);
  }

  count(type: number): number {
    return this.received.filter((each) => each.type === type).length;
  }

  close(): void {
    this.channel.destroy();
    this.socket.destroy();
  }
}
